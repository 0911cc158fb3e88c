/** Takes back what a test made the window listen to: real pages keep it until they close. */

type Listener = Parameters<typeof window.addEventListener>

const added: Listener[] = []
const add = window.addEventListener.bind(window)
window.addEventListener = (...listener: Listener) => {
  added.push(listener)
  add(...listener)
}

export function forgetListeners(): void {
  for (const [type, listener, options] of added.splice(0)) window.removeEventListener(type, listener, options)
}
