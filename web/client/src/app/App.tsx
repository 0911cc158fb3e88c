/** Shows the screen that the flow is at. */
import { lazy, Suspense, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { Ended } from '../features/ended/Ended'
import { PreJoin } from '../features/prejoin/PreJoin'
import { ProblemPage } from '../features/problem/ProblemPage'
import { SignIn } from '../features/signin/SignIn'
import { Announcer } from '../ui/Live'
import { Page, Waiting } from '../ui/Page'
import { useFlow } from './context'

const loadCall = () => import('../features/call/CallScreen')
const CallScreen = lazy(loadCall)

export function App() {
  const flow = useFlow()
  const screen = useStore(flow.screen)
  useEffect(() => {
    if (screen.name === 'prejoin') void loadCall() // Fetched while the person looks at their picture.
  }, [screen.name])
  return (
    <>
      <Current />
      <Announcer />
    </>
  )
}

function Current() {
  const { t } = useTranslation()
  const flow = useFlow()
  const screen = useStore(flow.screen)
  const waiting = (text: string) => (
    <Page inWidget={flow.inWidget}>
      <Waiting text={text} />
    </Page>
  )
  switch (screen.name) {
    case 'starting':
      return waiting(t('starting'))
    case 'signIn':
      return <SignIn busy={screen.busy} problem={screen.problem} />
    case 'prejoin':
      return <PreJoin meeting={screen.meeting} person={screen.person} problem={screen.problem} />
    case 'connecting':
      return waiting(t('connecting'))
    case 'call':
      return flow.call === null ? null : (
        <Suspense fallback={waiting(t('connecting'))}>
          <CallScreen meeting={screen.meeting} call={flow.call} />
        </Suspense>
      )
    case 'ended':
      return <Ended meeting={screen.meeting} summary={screen.summary} />
    case 'error':
      return <ProblemPage problem={screen.problem} />
  }
}
