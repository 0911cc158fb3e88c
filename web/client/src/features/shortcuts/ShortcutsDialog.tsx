/** The table of shortcuts, to read. */
import { useTranslation } from 'react-i18next'
import type { Action } from '../../call/shortcuts'
import { keysOf, SHORTCUTS } from '../../call/shortcuts'
import { Dialog } from '../../ui/Dialog'
import css from './ShortcutsDialog.module.css'

export default function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('keys')
  const { t: call } = useTranslation('call')
  const names = { ctrl: t('key_control'), shift: t('key_shift') }
  return (
    <Dialog open title={call('shortcuts')} onClose={onClose}>
      <dl className={css.table}>
        {(Object.keys(SHORTCUTS) as Action[]).map((action) => (
          <div key={action}>
            <dt>{t(`shortcut_${action}`)}</dt>
            <dd>
              {keysOf(action, names).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
