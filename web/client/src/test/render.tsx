/** Shows parts of the call around a real, unconnected LiveKit room, with the server's word put in by hand. */
import { RoomContext } from '@livekit/components-react'
import { render } from '@testing-library/react'
import { ParticipantEvent, Room, RoomEvent } from 'livekit-client'
import type { ReactNode } from 'react'
import { vi } from 'vitest'
import { axe } from 'vitest-axe'
import { Api } from '../app/api'
import { FlowContext } from '../app/context'
import type { RunningCall } from '../app/flow'
import { Flow, problemOf } from '../app/flow'
import type { Capture, Standing } from '../call/capture'
import { captureModel } from '../call/captureModel'
import { chatLog } from '../call/chat'
import { makeRoster } from '../call/roster'
import type { RtcStay } from '../rtc/stay'
import { CallContext, RosterContext } from '../features/call/context'
import { CaptureContext } from '../features/capture/context'

type Permissions = NonNullable<Room['localParticipant']['permissions']>

export const THEMES = ['light', 'dark'] as const

export function fakeFlow(): Flow {
  const api = new Api(() => Promise.reject(new Error('no network in this test')))
  api.service = { commandPrefix: '!visio', forgetSeconds: 3600 }
  const flow = new Flow({
    api,
    door: { kind: 'link', meetingId: 'm1' },
    dev: true,
    foci: [],
    device: 'd1',
    makeSession: () => Promise.reject(new Error('no call in this test')),
    makeStay: () => Promise.reject(new Error('no Matrix client in this test')),
  })
  for (const method of ['join', 'leave', 'refresh', 'signIn', 'start', 'back', 'startCapture', 'stopCapture', 'answerConsent', 'removeEarlier', 'remove'] as const) {
    vi.spyOn(flow, method).mockResolvedValue(undefined)
  }
  vi.spyOn(flow, 'mute').mockResolvedValue(1)
  return flow
}

export function fakeCall(may: Partial<RunningCall['pass']['may']> = {}, stay: RtcStay | null = null, flow = fakeFlow()) {
  const room = new Room()
  room.localParticipant.identity = 'ana-d1'
  vi.spyOn(room.localParticipant, 'name', 'get').mockReturnValue('Ana Pereira')
  const rights = { publish: true, share: true, capture: true, moderate: false, ...may }
  let own: Record<string, string> = {}
  vi.spyOn(room.localParticipant, 'attributes', 'get').mockImplementation(() => own)
  const metadata = (capture: Partial<Capture>) =>
    vi.spyOn(room, 'metadata', 'get').mockReturnValue(JSON.stringify({ call: 'c1', capture: { recording: null, transcription: null, ...capture } }))
  metadata({})
  const roster = makeRoster(room, stay)
  const model = captureModel(room, flow, (error) => problemOf(error).code)
  const pass = { url: '', token: '', identity: 'ana-d1', name: 'Ana', mode: 'server', may: rights }
  const call = { session: { room, chat: chatLog(room), leave: vi.fn(), connect: vi.fn() }, pass, stay } as unknown as RunningCall

  /** What the server says: in the room's metadata and the person's attributes. */
  const tell = (capture: Partial<Capture>, standings: Partial<Record<keyof Capture, Standing>> = {}) => {
    const consents = Object.fromEntries(Object.entries(standings).map(([kind, value]) => [`palabre.consent.${kind}`, value ?? '']))
    metadata(capture)
    own = { 'palabre.may': own['palabre.may'] ?? '', ...consents }
    room.emit(RoomEvent.RoomMetadataChanged, room.metadata ?? '')
  }

  /** What the room lets the person do from now on. */
  const allow = (change: Partial<typeof rights>) => {
    Object.assign(rights, change)
    own = { ...own, 'palabre.may': (['capture', 'moderate'] as const).filter((right) => rights[right]).join(' ') }
    const sources = [...(rights.publish ? [1, 2] : []), ...(rights.share ? [3, 4] : [])]
    room.localParticipant.setPermissions({ canPublish: sources.length > 0, canPublishSources: sources } as unknown as Permissions)
    room.localParticipant.emit(ParticipantEvent.AttributesChanged, {})
  }
  allow({})

  const show = (content: ReactNode, theme: (typeof THEMES)[number] = 'light') => {
    document.documentElement.dataset.theme = theme
    model.follow()
    roster.follow()
    return render(
      <FlowContext.Provider value={flow}>
        <RoomContext.Provider value={room}>
          <CallContext.Provider value={call}>
            <CaptureContext.Provider value={model}>
              <RosterContext.Provider value={roster}>{content}</RosterContext.Provider>
            </CaptureContext.Provider>
          </CallContext.Provider>
        </RoomContext.Provider>
      </FlowContext.Provider>,
    )
  }
  return { room, flow, model, call, tell, allow, show }
}

/** Faults that axe finds. Contrast can't be measured without layout: tokens.test.ts and the browser tests do. */
export async function faults(container: Element): Promise<string[]> {
  const { violations } = await axe(container, { rules: { region: { enabled: false }, 'color-contrast': { enabled: false } } })
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}
