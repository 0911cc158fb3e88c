/** Every problem the page can tell of, and the ways out of it. The words are `<code>_title` and `<code>_text`. */

export type Way = 'retry' | 'rejoin'

/** Codes of the API, of LiveKit's endings (call/reasons.ts), of the widget bridge, of the flow and of the page. */
export const PROBLEMS = {
  // the API
  not_in_room: ['retry'],
  bot_not_in_room: ['retry'],
  guests_not_allowed: [],
  server_excluded: [],
  external_excluded: [],
  call_forbidden: [],
  capture_forbidden: [],
  moderation_forbidden: [],
  removal_forbidden: [],
  not_in_call: [],
  openid_refused: ['retry'],
  server_not_allowed: [],
  server_may_only_join: ['retry'],
  homeserver_unreachable: ['retry'],
  meeting_not_ready: ['retry'],
  no_call: [],
  consent_overtaken: [],
  consent_by_event: [],
  consent_not_sent: [],
  consent_unheard: [],
  capture_not_stored: [],
  forget_too_late: [],
  wrong_password: [],
  session_expired: ['retry'],
  not_found: [],
  too_many_requests: ['retry'],
  unreachable: ['retry'],
  server_failed: ['retry'],
  end_to_end_only: [],
  not_end_to_end: [],
  identity_taken: ['retry'],
  // joining and leaving
  device_unknown: [],
  call_not_shared: ['retry'],
  mode_changed: ['retry'],
  call_not_allowed: ['retry', 'rejoin'],
  announce_failed: ['retry', 'rejoin'],
  encryption_unsupported: [],
  token_refused: ['retry'],
  relay_unreachable: ['retry'],
  media_blocked: ['retry'],
  connection_failed: ['retry'],
  join_failure: ['rejoin'],
  connection_lost: ['rejoin'],
  media_failure: ['rejoin'],
  duplicate_identity: ['rejoin'],
  removed: [],
  room_closed: ['rejoin'],
  server_shutdown: ['rejoin'],
  // the page
  widget_no_answer: ['retry'],
  widget_refused: ['retry'],
  wrong_address: [],
  no_sign_in: [],
  page_failed: ['retry'],
  unknown: ['retry'],
} as const satisfies Record<string, readonly Way[]>

export type KnownProblem = keyof typeof PROBLEMS

/** Different names of the same thing to a person. */
const SAME = new Map<string, KnownProblem>(
  Object.entries({
    session_missing: 'session_expired',
    wrong_meeting: 'session_expired',
    meeting_not_found: 'not_found',
    call_not_found: 'no_call',
    call_over: 'no_call',
    homeserver_away: 'server_failed',
    removed_from_call: 'removed',
    internal: 'server_failed',
    http_401: 'session_expired',
    http_404: 'not_found',
    http_429: 'too_many_requests',
    http_500: 'server_failed',
    http_502: 'server_failed',
    http_503: 'server_failed',
    http_504: 'server_failed',
    bad_answer: 'server_failed',
  }),
)

export function knownProblem(code: string): KnownProblem {
  if (Object.hasOwn(PROBLEMS, code)) return code as KnownProblem
  return SAME.get(code) ?? 'unknown'
}

export function waysOut(code: string): readonly Way[] {
  return PROBLEMS[knownProblem(code)]
}
