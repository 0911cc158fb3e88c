// Drives an unmodified livekit-client for the tests of the relay: rooms by identity, and what was really decoded.
//
// A published camera is a canvas: its top eighth is a bar code of the frame number (8 cells, black or white), the rest a
// colour. What a subscriber reads back from its <video> is therefore content, not a connection state.
const L = window.LivekitClient;
window.rooms = {};
window.events = [];

window.join = async (identity, token, url, options = {}) => {
  const { passphrase, ...others } = options;
  const keyProvider = new L.ExternalE2EEKeyProvider();
  const encryption = passphrase && { keyProvider, worker: new Worker("/livekit-client/livekit-client.e2ee.worker.js") };
  const room = new L.Room({ adaptiveStream: false, dynacast: false, encryption: encryption || undefined, ...others });
  if (passphrase) {
    await keyProvider.setKey(passphrase);
    await room.setE2EEEnabled(true);
  }
  window.rooms[identity] = room;
  room.received = [];
  for (const name of ["reconnecting", "reconnected", "signalReconnecting", "disconnected", "trackSubscribed", "trackUnsubscribed", "trackMuted", "trackUnmuted", "roomMetadataChanged", "recordingStatusChanged", "participantPermissionsChanged", "localTrackUnpublished"])
    room.on(name, (...args) => window.events.push([identity, name, ...args.slice(0, 3).map((a) => (a && (a.identity || a.trackSid || a.sid)) || String(a))]));
  room.on("trackSubscribed", (track, publication, participant) => {
    const element = track.attach();
    element.dataset.who = `${identity}<${participant.identity}:${publication.source}`;
    element.dataset.sid = publication.trackSid;
    element.muted = track.kind === "video";
    document.body.appendChild(element);
  });
  room.on("trackUnsubscribed", (track, publication) => {
    track.detach();
    document.querySelectorAll(`[data-sid=${publication.trackSid}]`).forEach((element) => element.remove());
  });
  room.on("dataReceived", (payload, participant, kind, topic) => room.received.push([participant ? participant.identity : "", new TextDecoder().decode(payload), topic || ""]));
  room.registerTextStreamHandler("long", async (reader, who) => { const text = await reader.readAll(); room.received.push([who.identity, String(text.length), "long"]); });
  room.localParticipant.registerRpcMethod("greet", async (call) => `hello ${call.payload} from ${identity}`);
  await room.connect(url, token, { autoSubscribe: true, peerConnectionTimeout: 15000 });
  return room.localParticipant.sid;
};

// A picture that counts, and a tone. A restless one costs as much as a camera may: its sides are full of blocks.
window.publish = async (identity, colour, frequency, { width = 1280, height = 720, restless = false, ...options } = {}) => {
  const room = window.rooms[identity];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let number = 0;
  setInterval(() => {
    number = (number + 1) % 256;
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    for (let bit = 0; bit < 8; bit++) {
      context.fillStyle = (number >> (7 - bit)) & 1 ? "#fff" : "#000";
      context.fillRect((bit * width) / 8, 0, width / 8, height / 8);
    }
    for (let block = 0; restless && block < 300; block++) {
      context.fillStyle = `hsl(${Math.random() * 360} 60% ${20 + Math.random() * 60}%)`;
      const x = Math.random() * width * 0.3 + (block % 2) * width * 0.7;
      context.fillRect(x, height / 8 + Math.random() * height * 0.8, 16, 16);
    }
  }, 66);
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  volume.gain.value = 0.5;
  tone.frequency.value = frequency;
  const sink = audio.createMediaStreamDestination();
  tone.connect(volume).connect(sink);
  tone.start();
  const video = canvas.captureStream(15).getVideoTracks()[0];
  const camera = await room.localParticipant.publishTrack(video, { source: "camera", simulcast: true, videoCodec: "vp8", ...options });
  const microphone = await room.localParticipant.publishTrack(sink.stream.getAudioTracks()[0], { source: "microphone", dtx: false });
  return [camera.trackSid, microphone.trackSid];
};

// What one sees of another: frame number and colour read from the picture, its size.
window.look = (who) => {
  const video = [...document.querySelectorAll("video")].find((element) => element.dataset.who === who);
  if (!video || !video.videoWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 36);
  let number = 0;
  for (let bit = 0; bit < 8; bit++) number = number * 2 + (context.getImageData(bit * 8 + 4, 2, 1, 1).data[0] > 127 ? 1 : 0);
  const [red, green, blue] = context.getImageData(32, 24, 1, 1).data;
  return { number, colour: [red, green, blue], width: video.videoWidth, height: video.videoHeight };
};

// The loudest frequency that one hears of another, in Hz, over half a second.
window.listen = async (who) => {
  const element = [...document.querySelectorAll("audio")].find((item) => item.dataset.who === who);
  if (!element) {
    await new Promise((done) => setTimeout(done, 500)); // not subscribed yet: whoever asks again does so at this pace
    return null;
  }
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 8192;
  audio.createMediaStreamSource(element.srcObject).connect(analyser);
  await new Promise((done) => setTimeout(done, 500));
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  let best = 1;
  for (let index = 1; index < bins.length; index++) if (bins[index] > bins[best]) best = index;
  await audio.close();
  return bins[best] > -60 ? (best * audio.sampleRate) / 8192 : null;
};

window.publications = (identity, other) => [...window.rooms[identity].remoteParticipants.get(other).trackPublications.values()];

window.inbound = async (identity, other) => {
  const result = {};
  for (const publication of window.publications(identity, other)) {
    const report = publication.track && (await publication.track.getRTCStatsReport());
    if (report) report.forEach((item) => { if (item.type === "inbound-rtp") result[publication.source] = { decoded: item.framesDecoded, lost: item.packetsLost, packets: item.packetsReceived, freezes: item.freezeCount, plis: item.pliCount, keyFrames: item.keyFramesDecoded }; });
  }
  return result;
};

window.outbound = async (identity) => {
  const layers = {};
  for (const publication of window.rooms[identity].localParticipant.videoTrackPublications.values()) {
    const report = await publication.track.sender.getStats();
    report.forEach((item) => { if (item.type === "outbound-rtp") layers[item.rid || ""] = { packets: item.packetsSent, active: item.active, frames: item.framesEncoded }; });
  }
  return layers;
};

// Video codecs that this browser can send or receive, in upper case.
window.codecs = (which) => [...new Set((which === "send" ? RTCRtpSender : RTCRtpReceiver).getCapabilities("video").codecs.map((codec) => codec.mimeType.slice(6).toUpperCase()))];
