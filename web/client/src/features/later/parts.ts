/** Parts of the page that people need in a call that already runs, or only some people at all: one file of the build. */
export { default as CaptureDialog } from '../capture/CaptureDialog'
export { default as ChatPanel } from '../chat/ChatPanel'
export { default as DevicesDialog } from '../devices/DevicesDialog'
export { default as EarlierAfter } from '../earlier/EarlierAfter'
export { default as EarlierBanner } from '../earlier/EarlierBanner'
export { default as ModerationMenu } from '../moderation/ModerationMenu'
export { default as PeoplePanel } from '../people/PeoplePanel'
export { default as ShortcutsDialog } from '../shortcuts/ShortcutsDialog'
