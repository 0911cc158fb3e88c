/** Says how the call is encrypted, and what that means. This page's calls are never end-to-end. */
import { ShieldCheck } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { ChipButton } from '../../ui/Chip'
import { Popover } from '../../ui/Overlay'

/** `crowded`: other chips need the room. */
export function EncryptionChip({ crowded }: { crowded: boolean }) {
  const { t } = useTranslation('call')
  return (
    <Popover
      title={t('encryption_title')}
      trigger={
        <ChipButton shrinks={crowded ? 'early' : 'late'} icon={<ShieldCheck size={16} aria-hidden />}>
          {t('encryption')}
        </ChipButton>
      }
    >
      <p>{t('encryption_how')}</p>
      <p>{t('encryption_not')}</p>
    </Popover>
  )
}
