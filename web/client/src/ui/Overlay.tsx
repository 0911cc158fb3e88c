/** What opens above the page and hangs on a button: popovers that explain, menus. Dialogs are Dialog.tsx. */
import type { ReactNode } from 'react'
import {
  Dialog as AriaDialog,
  DialogTrigger,
  Header,
  Heading,
  Menu as AriaMenu,
  MenuItem as AriaMenuItem,
  MenuTrigger,
  Popover as AriaPopover,
  Text,
} from 'react-aria-components'
import css from './Overlay.module.css'

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
