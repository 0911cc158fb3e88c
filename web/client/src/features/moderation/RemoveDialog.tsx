/** Are you sure? Before somebody is removed from the call. */
import { useTranslation } from 'react-i18next'
import { Button } from '../../ui/Button'
import { Dialog, DialogButtons } from '../../ui/Dialog'

export function RemoveDialog({ name, onClose, onRemove }: { name: string; onClose: () => void; onRemove: () => void }) {
  const { t } = useTranslation('moderation')
  const { t: common } = useTranslation()
  const go = () => {
    onRemove()
    onClose()
  }
  return (
    <Dialog open title={t('remove_title', { name })} onClose={onClose}>
      <p>{t('remove_text', { name })}</p>
      <DialogButtons>
        {/* Not the other one: whoever came here by pressing Enter may press it twice. */}
        <Button autoFocus onPress={onClose}>
          {common('cancel')}
        </Button>
        <Button tone="danger" onPress={go}>
          {t('remove_now')}
        </Button>
      </DialogButtons>
    </Dialog>
  )
}
