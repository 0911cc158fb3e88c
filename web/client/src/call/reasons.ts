/** Why a call ended or could not be joined, as one of the page's problem codes. The words are in problems.json. */
import { ConnectionError, ConnectionErrorReason, DisconnectReason } from 'livekit-client'

/** Null: the person left by themselves. */
const ENDINGS: Record<DisconnectReason, string | null> = {
  [DisconnectReason.UNKNOWN_REASON]: 'connection_lost',
  [DisconnectReason.CLIENT_INITIATED]: null,
  [DisconnectReason.DUPLICATE_IDENTITY]: 'duplicate_identity',
  [DisconnectReason.SERVER_SHUTDOWN]: 'server_shutdown',
  [DisconnectReason.PARTICIPANT_REMOVED]: 'removed',
  [DisconnectReason.ROOM_DELETED]: 'room_closed',
  [DisconnectReason.ROOM_CLOSED]: 'room_closed',
  [DisconnectReason.STATE_MISMATCH]: 'connection_lost',
  [DisconnectReason.JOIN_FAILURE]: 'join_failure',
  [DisconnectReason.MIGRATION]: 'connection_lost',
  [DisconnectReason.SIGNAL_CLOSE]: 'connection_lost',
  [DisconnectReason.USER_UNAVAILABLE]: 'removed',
  [DisconnectReason.USER_REJECTED]: 'removed',
  [DisconnectReason.SIP_TRUNK_FAILURE]: 'connection_lost',
  [DisconnectReason.CONNECTION_TIMEOUT]: 'connection_lost',
  [DisconnectReason.MEDIA_FAILURE]: 'media_failure',
  [DisconnectReason.AGENT_ERROR]: 'connection_lost',
}

export function endingOf(reason: DisconnectReason | undefined): string | null {
  const ending = ENDINGS[reason ?? DisconnectReason.UNKNOWN_REASON]
  return ending === undefined ? 'connection_lost' : ending
}

/** What `Room.connect` throws. */
export function refusalOf(error: unknown): string {
  if (!(error instanceof ConnectionError)) return 'connection_failed'
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return error.status === 404 ? 'room_closed' : 'token_refused'
    case ConnectionErrorReason.LeaveRequest:
      return endingOf(typeof error.context === 'number' ? error.context : DisconnectReason.JOIN_FAILURE) ?? 'removed'
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
    case ConnectionErrorReason.ServiceNotFound:
      return 'relay_unreachable'
    case ConnectionErrorReason.Timeout:
      return 'media_blocked'
    default:
      return 'connection_failed'
  }
}
