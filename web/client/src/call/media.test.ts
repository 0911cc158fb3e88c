import { expect, test } from 'vitest'
import { deviceAllowed, isCancelled, mediaTrouble } from './media'

test.each([
  ['NotAllowedError', 'denied'],
  ['NotFoundError', 'missing'],
  ['OverconstrainedError', 'missing'],
  ['NotReadableError', 'busy'],
  ['SomethingNewError', 'failed'],
])('%s is told as %s', (name, trouble) => {
  expect(mediaTrouble(new DOMException('', name))).toBe(trouble)
})

test('what is thrown without a name is a failure', () => {
  expect(mediaTrouble(null)).toBe('failed')
  expect(mediaTrouble('oops')).toBe('failed')
})

test('a frame that may not use the device is not the person’s refusal', () => {
  expect(mediaTrouble(new DOMException('', 'NotAllowedError'), false)).toBe('embedded')
  expect(mediaTrouble(new DOMException('', 'NotFoundError'), false)).toBe('missing')
})

test('the permissions policy is asked by its own names, and trusted where the browser has none', () => {
  const asked: string[] = []
  const document = { featurePolicy: { allowsFeature: (name: string) => (asked.push(name), false) } }
  expect(deviceAllowed('camera', document)).toBe(false)
  expect(deviceAllowed('screen', document)).toBe(false)
  expect(asked).toEqual(['camera', 'display-capture'])
  expect(deviceAllowed('microphone', {})).toBe(true)
})

test('closing the browser’s choice of screens is no trouble', () => {
  expect(isCancelled(new DOMException('', 'NotAllowedError'))).toBe(true)
  expect(isCancelled(new DOMException('', 'NotReadableError'))).toBe(false)
})
