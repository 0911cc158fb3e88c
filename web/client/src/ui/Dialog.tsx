/** Dialogs that ask. By themselves: only parts of the page that are fetched when wanted have one. */
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
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
