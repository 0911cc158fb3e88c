/** Which microphone, camera and loudspeaker: ids that the browser gives, '' for the system's default. */

export interface Devices {
  microphone: string
  camera: string
  speaker: string
}

export const DEFAULT_DEVICES: Devices = { microphone: '', camera: '', speaker: '' }
