import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { ParticipantEvent, RemoteParticipant, RoomEvent } from 'livekit-client'
import { describe, expect, test, vi } from 'vitest'
import { fakeCall, faults, THEMES } from '../../test/render'
import AgentBanner from './AgentBanner'
import AgentChip from './AgentChip'

/** A call with a program in it, which the person has answered so. */
function callWithProgram() {
  const fake = fakeCall()
  const { room } = fake
  const program = new RemoteParticipant(room.engine.client, 'PA_1', 'agent-1', 'Scribe', '', {}, undefined, 4)
  vi.spyOn(room, 'remoteParticipants', 'get').mockReturnValue(new Map([['agent-1', program]]))
  let own: Record<string, string> = {}
  vi.spyOn(room.localParticipant, 'attributes', 'get').mockImplementation(() => own)
  const stand = (answer: string) =>
    act(() => {
      own = { 'palabre.consent.agent': answer }
      room.localParticipant.emit(ParticipantEvent.AttributesChanged, own)
      room.emit(RoomEvent.ParticipantAttributesChanged, own, room.localParticipant)
    })
  return { ...fake, stand }
}

const both = (
  <>
    <AgentChip />
    <AgentBanner />
  </>
)

describe('programs in the call', () => {
  test('where there is none nothing is asked', () => {
    expect(fakeCall().show(both).container.textContent).toBe('')
  })

  test('the person is asked by name of the program, and a yes is sent for it alone', async () => {
    const { show, stand, flow } = callWithProgram()
    show(both)
    stand('asked')
    expect(screen.getByRole('region', { name: /Scribe/ })).toBeTruthy()
    await userEvent.click(screen.getAllByRole('button', { name: 'J’accepte' })[0] as HTMLElement)
    expect(flow.answerConsent).toHaveBeenCalledWith(['agent'], 'yes')
  })

  test('a yes can be taken back', async () => {
    const { show, stand, flow } = callWithProgram()
    show(both)
    stand('yes')
    expect(screen.queryByRole('region', { name: /Scribe/ })).toBeNull()
    await userEvent.click(screen.getByRole('button', { name: 'Programme' }))
    await userEvent.click(screen.getByRole('button', { name: 'Retirer mon accord' }))
    expect(flow.answerConsent).toHaveBeenCalledWith(['agent'], 'no')
  })

  test.each(THEMES)('the question has no accessibility faults (%s)', async (theme) => {
    const { show, stand } = callWithProgram()
    const { container } = show(both, theme)
    stand('asked')
    expect(await faults(container)).toEqual([])
  })
})
