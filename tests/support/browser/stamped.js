// Runs before the page, after devices.js: a camera and a screen that show numbers (tests/support/stamps.py) and a
// microphone that sounds one tone, so that what others decode can be told apart. Called with {person, tone}; the screen's
// number is the person's plus 16. Leaves window.readStamps and window.tones for looking at what arrived, and window.speak
// for putting speech in the tone's place.
({ person, tone }) => {
  const crc8 = (value) => {
    let crc = 0xa5
    for (let bit = 19; bit >= 0; bit--) {
      const feedback = ((value >> bit) & 1) ^ (crc >> 7)
      crc = ((crc << 1) & 0xff) ^ (feedback ? 7 : 0)
    }
    return crc
  }
  const corners = { 0: 1, 7: 0, 24: 0, 31: 1 }

  function cells(number, frame) {
    const value = ((number & 31) << 15) | (frame & 32767)
    const bits = [...value.toString(2).padStart(20, '0'), ...crc8(value).toString(2).padStart(8, '0')].map(Number)
    return Array.from({ length: 32 }, (_, n) => corners[n] ?? bits.shift())
  }

  function picture(number, width, height) {
    const element = Object.assign(document.createElement('canvas'), { width, height })
    const x = element.getContext('2d')
    let frame = 0
    const paint = () => {
      x.fillStyle = '#5a5a5a'
      x.fillRect(0, 0, width, height)
      cells(number, frame++).forEach((light, n) => {
        x.fillStyle = light ? '#e4e4e4' : '#181818'
        const wide = (0.5 * width) / 8
        const high = (0.4 * height) / 4
        x.fillRect(0.25 * width + (n % 8) * wide, 0.3 * height + (n >> 3) * high, wide + 1, high + 1)
      })
    }
    paint()
    setInterval(paint, 66)
    return element.captureStream(15).getVideoTracks()[0]
  }

  const microphones = []

  function sound() {
    const context = new AudioContext()
    const oscillator = new OscillatorNode(context, { frequency: tone })
    const gain = new GainNode(context, { gain: 0.3 })
    const destination = context.createMediaStreamDestination()
    oscillator.connect(gain).connect(destination)
    oscillator.start()
    microphones.push({ context, gain, destination })
    return destination.stream.getAudioTracks()[0]
  }

  // Plays a sound file, base64, into every microphone instead of the tone; returns when it is over.
  window.speak = async (file) => {
    const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0))
    await Promise.all(microphones.map(async ({ context, gain, destination }) => {
      const buffer = await context.decodeAudioData(bytes.slice().buffer)
      const source = new AudioBufferSourceNode(context, { buffer })
      const over = new Promise((done) => source.addEventListener('ended', done))
      gain.gain.value = 0
      source.connect(destination)
      source.start()
      await over
      gain.gain.value = 0.3
    }))
  }

  const media = navigator.mediaDevices
  if (media === undefined) return
  media.getUserMedia = async (wish) =>
    new MediaStream([...(wish.audio ? [sound()] : []), ...(wish.video ? [picture(person, 640, 360)] : [])])
  media.getDisplayMedia = async () => new MediaStream([picture(person + 16, 1280, 720)])

  // The numbers in all pictures that the page shows now.
  window.readStamps = () => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    const found = []
    for (const video of document.querySelectorAll('video')) {
      if (video.videoWidth === 0) continue
      Object.assign(context.canvas, { width: video.videoWidth, height: video.videoHeight })
      context.drawImage(video, 0, 0)
      const stamp = readStamp(context, 0, 0, video.videoWidth, video.videoHeight)
      if (stamp) found.push([stamp.person, stamp.frame])
    }
    return found
  }

  // The loudest frequency in each sound that the page plays, measured for a moment.
  window.tones = async () => {
    const context = new AudioContext({ sampleRate: 48000 })
    const analysers = [...document.querySelectorAll('audio')].filter((one) => one.srcObject).map((one) => {
      const analyser = new AnalyserNode(context, { fftSize: 8192 })
      context.createMediaStreamSource(one.srcObject).connect(analyser)
      return analyser
    })
    await new Promise((done) => setTimeout(done, 700))
    const loudest = analysers.map((analyser) => {
      const bins = new Float32Array(analyser.frequencyBinCount)
      analyser.getFloatFrequencyData(bins)
      const top = bins.indexOf(Math.max(...bins))
      return bins[top] > -60 ? (top * 48000) / 8192 : 0
    })
    await context.close()
    return loudest
  }
}
