/** The parts of `parts.ts`, fetched with their words when somebody first needs one. */
import type { ComponentType, LazyExoticComponent } from 'react'
import { lazy, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { notify } from '../../app/live'
import { laterWords } from '../../i18n'

type Parts = typeof import('./parts')

/** Where they can't be fetched, because the network or the server's release changed meanwhile, the call goes on. */
export function fetched<N extends keyof Parts>(name: N): LazyExoticComponent<Parts[N]> {
  return lazy(async () => {
    try {
      const [parts] = await Promise.all([import('./parts'), laterWords()])
      return { default: parts[name] }
    } catch {
      return { default: Missing as ComponentType<never> as Parts[N] }
    }
  })
}

function Missing({ onClose }: { onClose?: () => void }) {
  const { t } = useTranslation('problem')
  useEffect(() => {
    notify(t('page_failed_text'), 'trouble')
    onClose?.()
  }, [onClose, t])
  return null
}
