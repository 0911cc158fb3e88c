/** When camera or microphone can't be used: what happened, how to change it, and that one may come in without. */
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { MediaTrouble } from '../../call/media'
import type { Input, Preview } from '../../call/preview'
import { Button } from '../../ui/Button'
import { Remark } from '../../ui/Page'
import css from './MediaHelp.module.css'

export function MediaHelp({ preview }: { preview: Preview }) {
  const { t } = useTranslation('prejoin')
  const { microphone, camera } = useStore(preview.store)
  const found = troubles(microphone.trouble, camera.trouble)
  if (found.length === 0) return null
  const retry = () => {
    for (const { inputs } of found) for (const input of inputs) void preview.toggle(input)
  }
  return (
    <Remark>
      <div className={css.help} role="status">
        {found.map(({ what, trouble }) => (
          <div key={what}>
            <strong>{t(`trouble_${what}`)}</strong>
            <p>{t(`trouble_${trouble}`)}</p>
          </div>
        ))}
        <p>{t('trouble_way_out')}</p>
        {found.some(({ trouble }) => trouble !== 'insecure' && trouble !== 'embedded') && (
          <div>
            <Button onPress={retry}>{t('trouble_retry')}</Button>
          </div>
        )}
      </div>
    </Remark>
  )
}

interface Found {
  what: 'both' | Input
  trouble: MediaTrouble
  inputs: Input[]
}

/** Both for the same reason is one thing to read, not two. */
export function troubles(microphone: MediaTrouble | null, camera: MediaTrouble | null): Found[] {
  if (microphone !== null && microphone === camera) {
    return [{ what: 'both', trouble: microphone, inputs: ['microphone', 'camera'] }]
  }
  return [
    ...(microphone === null ? [] : [{ what: 'microphone' as const, trouble: microphone, inputs: ['microphone' as const] }]),
    ...(camera === null ? [] : [{ what: 'camera' as const, trouble: camera, inputs: ['camera' as const] }]),
  ]
}
