// Runs before the page: a camera that shows a drawn person and a screen that shows a document, instead of Chromium's
// green test picture, so that pictures of the page look like what people see. Called with the looks of one person.
(look) => {
  const WIDTH = 1280
  const HEIGHT = 720

  function canvas(paint, interval) {
    const element = document.createElement('canvas')
    element.width = WIDTH
    element.height = HEIGHT
    const context = element.getContext('2d')
    let step = 0
    paint(context, step)
    setInterval(() => paint(context, ++step), interval)
    return element.captureStream(1000 / interval)
  }

  function room(x) {
    const wall = x.createLinearGradient(0, 0, WIDTH, HEIGHT)
    wall.addColorStop(0, look.wall[0])
    wall.addColorStop(1, look.wall[1])
    x.fillStyle = wall
    x.fillRect(0, 0, WIDTH, HEIGHT)
    x.fillStyle = 'rgba(70, 55, 40, 0.22)'
    x.fillRect(70, 250, 330, 10)
    for (let book = 0; book < 8; book++) {
      const height = 110 + ((book * 37) % 50)
      x.fillRect(84 + book * 38, 250 - height, 26, height)
    }
    x.fillStyle = 'rgba(255, 255, 255, 0.45)'
    x.fillRect(930, 80, 230, 270)
    x.fillStyle = 'rgba(140, 170, 190, 0.35)'
    x.fillRect(944, 94, 96, 242)
    x.fillRect(1050, 94, 96, 242)
  }

  function ellipse(x, colour, centre, middle, width, height, from = 0, to = 7) {
    x.fillStyle = colour
    x.beginPath()
    x.ellipse(centre, middle, width, height, 0, from, to)
    x.fill()
  }

  function shape(x, colour, ...points) {
    x.fillStyle = colour
    x.beginPath()
    x.moveTo(...points[0])
    for (const point of points.slice(1)) point.length === 2 ? x.lineTo(...point) : x.quadraticCurveTo(...point)
    x.fill()
  }

  function person(x, step) {
    room(x)
    const c = 640 + Math.sin(step / 16) * 9
    const dy = Math.sin(step / 11) * 3
    const shoulders = [[c - 280, 720], [c - 260, 560, c - 80, 525], [c + 80, 525], [c + 260, 560, c + 280, 720]]
    shape(x, look.coat, ...shoulders)
    x.fillStyle = look.skin
    x.fillRect(c - 48, 440, 96, 90)
    shape(x, look.skin, [c - 80, 524], [c, 600], [c + 80, 524])
    if (look.hairstyle === 'long') ellipse(x, look.hair, c, 318 + dy, 134, 152)
    if (look.hairstyle === 'bun') {
      ellipse(x, look.hair, c, 185 + dy, 52, 52)
      ellipse(x, look.hair, c, 320 + dy, 128, 130)
    }
    ellipse(x, look.skin, c, 345 + dy, 112, 146)
    const fringe = [[c - 121, 285 + dy], [c - 110, 165 + dy, c, 165 + dy], [c + 110, 165 + dy, c + 121, 285 + dy], [c, 225 + dy, c - 121, 285 + dy]]
    shape(x, look.hair, ...fringe)
    if (look.hairstyle === 'beard') ellipse(x, look.hair, c, 440 + dy, 92, 56, 0, Math.PI)
    for (const eye of [c - 42, c + 42]) ellipse(x, '#241b17', eye, 345 + dy, 9, 9)
    x.lineWidth = 6
    x.strokeStyle = '#8a3b34'
    x.beginPath()
    x.arc(c, 398 + dy, 34, 0.35, 2.8)
    x.stroke()
  }

  function page(x, step) {
    x.fillStyle = '#ffffff'
    x.fillRect(0, 0, WIDTH, HEIGHT)
    x.fillStyle = '#0b5e57'
    x.fillRect(0, 0, WIDTH, 110)
    x.fillStyle = '#ffffff'
    x.font = '600 46px "DejaVu Sans", sans-serif'
    x.fillText(look.page[0], 70, 72)
    x.fillStyle = '#1d1b16'
    x.font = '32px "DejaVu Sans", sans-serif'
    look.page.slice(1).forEach((line, row) => x.fillText(line, 90, 210 + row * 80))
    x.fillStyle = '#6fd3c6'
    x.fillRect(70, 640, (step * 4) % 1140, 8) // moves, so that a standing picture is no proof
  }

  const media = navigator.mediaDevices
  if (media === undefined) return
  const getUserMedia = media.getUserMedia.bind(media)
  media.getUserMedia = async (wish) => {
    const stream = await getUserMedia(wish.video ? { ...wish, video: true } : wish)
    if (!wish.video) return stream
    for (const track of stream.getVideoTracks()) track.stop()
    return new MediaStream([...stream.getAudioTracks(), ...canvas(person, 66).getVideoTracks()])
  }
  media.getDisplayMedia = async () => canvas(page, 100)

  // Chromium calls its pretended devices "Fake Default Audio Input": not what stands in anybody's office.
  const enumerateDevices = media.enumerateDevices.bind(media)
  media.enumerateDevices = async () => {
    const counts = {}
    return (await enumerateDevices()).map(({ deviceId, groupId, kind, label }) => {
      const number = (counts[kind] = (counts[kind] ?? -1) + 1)
      return { deviceId, groupId, kind, label: label && (look.devices[kind]?.[number] ?? label) }
    })
  }
}
