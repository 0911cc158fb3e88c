/** The question about the earlier part, among what wants a decision in the call. */
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { notify } from '../../app/live'
import { those } from '../../call/earlier'
import { useCaptureModel } from '../capture/context'
import { EarlierQuestion } from './EarlierQuestion'

export default function EarlierBanner() {
  const { t } = useTranslation('earlier')
  const model = useCaptureModel()
  const { earlier, notRemoved } = useStore(model.store)
  const removing = those(earlier, 'removing')
  const remove = async () => {
    if (await model.removeEarlier()) notify(t('taken_out'))
  }
  return (
    <EarlierQuestion
      banner
      kinds={those(earlier, 'asked', 'removing')}
      busy={removing.length > 0}
      failed={notRemoved}
      onKeep={model.keepEarlier}
      onRemove={() => void remove()}
    />
  )
}
