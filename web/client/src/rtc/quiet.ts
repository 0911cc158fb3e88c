/** matrix-js-sdk names people and devices in the browser's console; here it says nothing. */
import { logger } from 'matrix-js-sdk/lib/logger.js'
import type { Logger } from 'matrix-js-sdk/lib/logger.js'

interface LogLevelLogger {
  methodFactory: () => () => void
  rebuild(): void
}

const silent = () => undefined

export const quiet: Logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent, getChild: () => quiet }

/** The parts of the library that take no logger use its own; its children inherit what is set here. */
const root = logger as unknown as LogLevelLogger
root.methodFactory = () => silent
root.rebuild()
