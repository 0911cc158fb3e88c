import { expect, test, vi } from 'vitest'
import { Api, ApiError } from './api'

function answering(status: number, body: unknown) {
  const fetch = vi.fn(async (_url: RequestInfo | URL, _init?: RequestInit) => new Response(JSON.stringify(body), { status }))
  return { fetch, api: new Api(fetch) }
}

const SESSION = { session: 's3cret', expires_at: 1, user: { id: '@ana:e', name: 'Ana' }, meeting: { id: 'm1', title: 'Budget' } }
const OPENID = { access_token: 't', token_type: 'Bearer', matrix_server_name: 'e', expires_in: 60 }

test('the session goes into the header of what follows, and no cookie with it', async () => {
  const { fetch, api } = answering(200, SESSION)
  await api.signInByOpenId(OPENID, '!r:e')
  expect(api.signedIn).toBe(true)
  await api.join('m1', 'd1')
  const [url, init] = fetch.mock.calls[1] ?? []
  expect(url).toBe('/api/meetings/m1/join')
  expect(init).toMatchObject({ method: 'POST', credentials: 'omit', body: '{"device":"d1"}' })
  expect(init?.headers).toMatchObject({ Authorization: 'Bearer s3cret' })
})

test('a session tells how commands begin and how long people can be taken out', async () => {
  const { api } = answering(200, { ...SESSION, command_prefix: '!visio', forget_seconds: 7200 })
  await api.signInByOpenId(OPENID, '!r:e')
  expect(api.service).toEqual({ commandPrefix: '!visio', forgetSeconds: 7200 })
})

test('people are named in addresses so that their slashes stay theirs', async () => {
  const { fetch, api } = answering(200, { muted: 1 })
  expect(await api.mute('m1', '@ana:e/tab1')).toBe(1)
  await api.remove('m1', '@ana:e/tab1')
  expect(fetch.mock.calls.map(([url]) => url)).toEqual([
    '/api/meetings/m1/participants/%40ana%3Ae%2Ftab1/mute',
    '/api/meetings/m1/participants/%40ana%3Ae%2Ftab1/remove',
  ])
})

test('refusals keep their code and parameters', async () => {
  const { api } = answering(403, { code: 'server_not_allowed', message: '…', params: { server: 'evil.example' } })
  const refusal = await api.meeting('m1').catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(ApiError)
  expect(refusal).toMatchObject({ code: 'server_not_allowed', status: 403, params: { server: 'evil.example' } })
})

test('an answer that is no JSON is told by its status', async () => {
  const api = new Api(async () => new Response('<html>', { status: 502 }))
  await expect(api.meeting('m1')).rejects.toMatchObject({ code: 'http_502' })
  const odd = new Api(async () => new Response('<html>', { status: 200 }))
  await expect(odd.meeting('m1')).rejects.toMatchObject({ code: 'bad_answer' })
})

test('no network is “unreachable”', async () => {
  const api = new Api(() => Promise.reject(new TypeError('Failed to fetch')))
  await expect(api.meeting('m1')).rejects.toMatchObject({ code: 'unreachable' })
})

test('a meeting is read into the page’s own names', async () => {
  const { api } = answering(200, {
    id: 'm1', title: 'Budget', mode: 'server', room_encrypted: true,
    call: { started_at: 5, participants: ['Ana'] }, capture: { recording: { by: '@a:e', since: 6 }, transcription: null },
  })
  expect(await api.meeting('m1')).toEqual({
    id: 'm1', title: 'Budget', mode: 'server', roomEncrypted: true,
    call: { startedAt: 5, participants: ['Ana'] }, capture: { recording: { by: '@a:e', since: 6 }, transcription: null },
  })
})
