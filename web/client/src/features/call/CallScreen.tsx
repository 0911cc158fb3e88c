/** The call: header, what wants a decision, stage, side panel, control bar. Fetched while people are still before it. */
import { RoomContext } from '@livekit/components-react'
import { Suspense, useCallback, useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Meeting } from '../../app/api'
import { useFlow } from '../../app/context'
import type { RunningCall } from '../../app/flow'
import { problemOf } from '../../app/flow'
import { captureModel } from '../../call/captureModel'
import { makeRoster } from '../../call/roster'
import { fetched } from '../later/fetched'
import { Notices } from '../../ui/Live'
import { Agents } from '../agents/Agents'
import { CaptureContext } from '../capture/context'
import { ConsentBanner } from '../capture/ConsentBanner'
import { ConnectionBanners } from '../connection/ConnectionBanners'
import { ControlBar } from '../controls/ControlBar'
import { Earlier } from '../earlier/Earlier'
import { Stage } from '../stage/Stage'
import css from './CallScreen.module.css'
import { CallContext, RosterContext } from './context'
import { Header } from './Header'
import { Sounds } from './Sounds'
import { useNews } from './useNews'

const ChatPanel = fetched('ChatPanel')
const PeoplePanel = fetched('PeoplePanel')

export type Panel = 'chat' | 'people' | null

export default function CallScreen({ meeting, call }: { meeting: Meeting; call: RunningCall }) {
  const flow = useFlow()
  const { room } = call.session
  const [model] = useState(() => captureModel(room, flow, (error) => problemOf(error).code))
  useEffect(() => model.follow(), [model])
  const [roster] = useState(() => makeRoster(room, call.stay))
  useEffect(() => roster.follow(), [roster])
  return (
    <RoomContext.Provider value={room}>
      <CallContext.Provider value={call}>
        <CaptureContext.Provider value={model}>
          <RosterContext.Provider value={roster}>
            <Layout meeting={meeting} call={call} />
            <Sounds stay={call.stay} />
          </RosterContext.Provider>
        </CaptureContext.Provider>
      </CallContext.Provider>
    </RoomContext.Provider>
  )
}

function Layout({ meeting, call }: { meeting: Meeting; call: RunningCall }) {
  const { t } = useTranslation('call')
  const flow = useFlow()
  const [panel, setPanel] = useState<Panel>(null)
  const toggle = useCallback((wanted: Panel) => setPanel((shown) => (shown === wanted ? null : wanted)), [])
  const close = useCallback(() => setPanel(null), [])
  useNews(call)
  return (
    <div className={css.call} data-widget={flow.inWidget || undefined} data-panel={panel ?? undefined}>
      <a className="skip" href="#controls">
        {t('skip')}
      </a>
      <Header title={meeting.title} />
      <div className={css.banners} data-region>
        <ConnectionBanners />
        <ConsentBanner />
        <Agents as="banner" />
        <Earlier />
      </div>
      <main id="stage" className={css.stage} tabIndex={-1} aria-label={t('stage')} data-region>
        <Stage />
        <Notices />
      </main>
      <Suspense>
        {panel === 'chat' && <ChatPanel onClose={close} />}
        {panel === 'people' && <PeoplePanel onClose={close} />}
      </Suspense>
      <ControlBar panel={panel} onPanel={toggle} onLeave={() => void flow.leave()} />
    </div>
  )
}
