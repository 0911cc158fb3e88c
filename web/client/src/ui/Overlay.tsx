/** What opens above the page: dialogs that ask, popovers that explain, menus. */
import type { ReactNode } from 'react'
import {
  Dialog as AriaDialog,
  DialogTrigger,
  Header,
  Heading,
  Menu as AriaMenu,
  MenuItem as AriaMenuItem,
  MenuTrigger,
  Modal,
  ModalOverlay,
  Popover as AriaPopover,
  Text,
} from 'react-aria-components'
import { X } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { IconButton } from './Button'
import css from './Overlay.module.css'

/** Takes the whole attention. Escape and the cross close it. */
export function Dialog(props: { title: string; open: boolean; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const { t } = useTranslation()
  return (
    <ModalOverlay isDismissable isOpen={props.open} onOpenChange={(open) => !open && props.onClose()} className={css.shade ?? ''}>
      <Modal className={`${css.modal} ${props.wide ? css.wide : ''}`}>
        <AriaDialog className={css.dialog ?? ''}>
          <div className={css.head}>
            <Heading slot="title" className={css.title ?? ''}>
              {props.title}
            </Heading>
            <IconButton label={t('close')} icon={<X size={20} aria-hidden />} onPress={props.onClose} />
          </div>
          {props.children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  )
}

/** The buttons at the foot of a dialog; the last is the one that does it. */
export function DialogButtons({ children }: { children: ReactNode }) {
  return <div className={css.buttons}>{children}</div>
}

/** Explains the button it hangs on. `trigger` is a button of react-aria. */
export function Popover({ trigger, title, children }: { trigger: ReactNode; title: string; children: ReactNode }) {
  return (
    <DialogTrigger>
      {trigger}
      <AriaPopover className={css.popover ?? ''} placement="bottom end" containerPadding={8}>
        <AriaDialog className={css.explanation ?? ''}>
          <Heading slot="title" className={css.smallTitle ?? ''}>
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </AriaPopover>
    </DialogTrigger>
  )
}

export interface MenuEntry {
  id: string
  icon: ReactNode
  text: string
  /** The shortcut, for the eyes; the dialog of shortcuts is for the ears. */
  hint?: string | undefined
  onAction: () => void
}

export function Menu({ trigger, label, entries }: { trigger: ReactNode; label: string; entries: MenuEntry[] }) {
  return (
    <MenuTrigger>
      {trigger}
      <AriaPopover className={`${css.popover} ${css.menuPopover}`} placement="top end" containerPadding={8}>
        <Header className="visually-hidden">{label}</Header>
        <AriaMenu
          aria-label={label}
          className={css.menu ?? ''}
          onAction={(key) => entries.find((entry) => entry.id === key)?.onAction()}
        >
          {entries.map(({ id, icon, text, hint }) => (
            <AriaMenuItem key={id} id={id} textValue={text} className={css.item ?? ''}>
              {icon}
              <Text slot="label">{text}</Text>
              {hint !== undefined && <kbd className={css.hint} data-keys={hint} aria-hidden="true" />}
            </AriaMenuItem>
          ))}
        </AriaMenu>
      </AriaPopover>
    </MenuTrigger>
  )
}
