/** What happened, what one can do, and the code to give to whoever helps. */
import { Copy } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useFlow } from '../../app/context'
import { announce } from '../../app/live'
import type { Problem } from '../../app/screens'
import { Button, IconButton } from '../../ui/Button'
import { Card, Page } from '../../ui/Page'
import { Title } from '../../ui/Title'
import css from './ProblemPage.module.css'
import { waysOut } from './problems'
import { useSentence } from './sentence'

export function ProblemPage({ problem }: { problem: Problem }) {
  const { t } = useTranslation()
  const flow = useFlow()
  const { title, text } = useSentence()(problem)
  return (
    <Page inWidget={flow.inWidget}>
      <Card>
        <div role="alert" className={css.what}>
          <Title>{title}</Title>
          <p>{text}</p>
        </div>
        {waysOut(problem.code).includes('retry') && (
          <Button tone="primary" main onPress={() => void flow.start()}>
            {t('retry')}
          </Button>
        )}
        <ProblemCode code={problem.code} />
      </Card>
    </Page>
  )
}

export function ProblemCode({ code }: { code: string }) {
  const { t } = useTranslation()
  const copy = () =>
    navigator.clipboard.writeText(code).then(
      () => announce(t('code_copied')),
      () => undefined, // Forbidden in some frames; the code can be read all the same.
    )
  return (
    <p className={css.code}>
      {t('code')} <code>{code}</code>
      <IconButton label={t('code_copy')} icon={<Copy size={18} aria-hidden />} onPress={() => void copy()} />
    </p>
  )
}
