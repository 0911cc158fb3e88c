/** Says how the call is encrypted, and what that means. It is one or the other from beginning to end. */
import { LockKeyhole, ShieldCheck } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { ChipButton } from '../../ui/Chip'
import { Popover } from '../../ui/Overlay'

/** `crowded`: other chips need the room. */
export function EncryptionChip({ endToEnd, crowded }: { endToEnd: boolean; crowded: boolean }) {
  const { t } = useTranslation('call')
  return (
    <Popover
      title={t('encryption_title')}
      trigger={
        <ChipButton
          shrinks={crowded ? 'early' : 'late'}
          icon={endToEnd ? <LockKeyhole size={16} aria-hidden /> : <ShieldCheck size={16} aria-hidden />}
        >
          {t(endToEnd ? 'encryption_e2ee' : 'encryption_server')}
        </ChipButton>
      }
    >
      <p>{t(endToEnd ? 'encryption_e2ee_how' : 'encryption_server_how')}</p>
      <p>{t(endToEnd ? 'encryption_e2ee_not' : 'encryption_server_not')}</p>
    </Popover>
  )
}
