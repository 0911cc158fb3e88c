/** After the call: how long it was, what becomes of the recording, and the way back in. */
import { Suspense } from 'react'
import { useTranslation } from 'react-i18next'
import { useFlow } from '../../app/context'
import type { Meeting } from '../../app/api'
import type { Summary } from '../../app/screens'
import { Button } from '../../ui/Button'
import { Card, Page, Remark } from '../../ui/Page'
import { Title } from '../../ui/Title'
import { fetched } from '../later/fetched'
import { ProblemCode } from '../problem/ProblemPage'
import { waysOut } from '../problem/problems'
import { useSentence } from '../problem/sentence'
import css from './Ended.module.css'

const EarlierAfter = fetched('EarlierAfter')

export function Ended({ meeting, summary }: { meeting: Meeting; summary: Summary }) {
  const { t } = useTranslation()
  const flow = useFlow()
  const sentence = useSentence()
  const { problem, captured, kept, seconds } = summary
  const told = problem === null ? null : sentence(problem)
  const mayReturn = problem === null || waysOut(problem.code).includes('rejoin')
  return (
    <Page inWidget={flow.inWidget}>
      <Card>
        <div className={css.what} role={problem === null ? undefined : 'alert'}>
          <Title>{told === null ? t('left_title') : told.title}</Title>
          {told !== null && <p>{told.text}</p>}
          <p className={css.quiet}>{t('left_meeting', { title: meeting.title, count: Math.max(1, Math.round(seconds / 60)) })}</p>
        </div>
        <Afterwards captured={captured} />
        {kept.length > 0 && (
          <Suspense>
            <EarlierAfter kinds={kept} />
          </Suspense>
        )}
        {mayReturn && (
          <Button tone="primary" main onPress={() => void flow.back()}>
            {t('rejoin')}
          </Button>
        )}
        {problem !== null && <ProblemCode code={problem.code} />}
        <p className={css.quiet}>{t('may_close')}</p>
      </Card>
    </Page>
  )
}

function Afterwards({ captured }: { captured: Summary['captured'] }) {
  const { t } = useTranslation('capture')
  if (captured.length === 0) return <p>{t('after_nothing')}</p>
  const what = captured.length === 2 ? 'both' : (captured[0] ?? 'recording')
  return (
    <Remark>
      <strong>{t(`after_${what}`)}</strong> {t('after_consent')}
    </Remark>
  )
}
