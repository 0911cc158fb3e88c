// A Matrix client on Element Web's libraries that takes part as Element does with unsigned devices excluded (MSC4153):
// what it shows as readable would be readable in a strict Element. Speaks JSON lines: requests on standard input,
// answers and timeline events on standard output.
import { createHash, webcrypto } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";

import * as sdk from "matrix-js-sdk";
import { OnlySignedDevicesIsolationMode } from "matrix-js-sdk/lib/crypto-api/index.js";

// Standard output is for our lines only; the encryption library logs there through the console.
for (const level of ["log", "debug", "info", "warn", "trace"]) console[level] = () => {};

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error: (...words) => console.error(...words) };
quiet.getChild = () => quiet;

let client;

const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function start({ homeserver, user_id, access_token, device_id }) {
  client = sdk.createClient({
    baseUrl: homeserver,
    userId: user_id,
    accessToken: access_token,
    deviceId: device_id,
    logger: quiet,
  });
  await client.initRustCrypto({ useIndexedDB: false });
  const crypto = client.getCrypto();
  crypto.setDeviceIsolationMode(new OnlySignedDevicesIsolationMode());
  // Synapse asks for no password the first time (MSC3967).
  await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: (upload) => upload(null) });
  client.on(sdk.RoomEvent.Timeline, (event) => report(event));
  client.on(sdk.MatrixEventEvent.Decrypted, (event) => report(event));
  const prepared = new Promise((resolve) => {
    client.on(sdk.ClientEvent.Sync, (state) => state === "PREPARED" && resolve());
  });
  await client.startClient({ initialSyncLimit: 100 });
  await prepared;
}

async function report(event) {
  if (event.isBeingDecrypted()) await event.getDecryptionPromise();
  const encrypted = event.isEncrypted();
  const info = encrypted ? await client.getCrypto().getEncryptionInfoForEvent(event) : null;
  write({
    event: {
      room_id: event.getRoomId(),
      event_id: event.getId(),
      sender: event.getSender(),
      type: event.getType(),
      content: event.getContent(),
      thread: event.getWireContent()["m.relates_to"]?.rel_type === "m.thread" ? event.getWireContent()["m.relates_to"].event_id : null,
      encrypted,
      readable: encrypted ? Boolean(event.getClearContent()) && !event.isDecryptionFailure() : true,
      failure: event.isDecryptionFailure() ? String(event.decryptionFailureReason) : "",
      shield: info?.shieldColour ?? 0,
    },
  });
}

// https://spec.matrix.org/v1.16/client-server-api/#sending-encrypted-attachments
async function download({ file, path }) {
  const url = client.mxcUrlToHttp(file.url, undefined, undefined, undefined, true, true, true);
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
  if (!answer.ok) throw new Error(`download: ${answer.status}`);
  const ciphertext = Buffer.from(await answer.arrayBuffer());
  const hash = createHash("sha256").update(ciphertext).digest("base64").replace(/=+$/, "");
  if (hash !== file.hashes.sha256) throw new Error("the file's hash is wrong");
  const key = await webcrypto.subtle.importKey("jwk", file.key, { name: "AES-CTR" }, false, ["decrypt"]);
  const counter = Buffer.from(file.iv, "base64");
  const clear = await webcrypto.subtle.decrypt({ name: "AES-CTR", counter, length: 64 }, key, ciphertext);
  await writeFile(path, Buffer.from(clear));
}

const requests = {
  start,
  download,
  join: ({ room_id }) => client.joinRoom(room_id).then(() => undefined),
  send: async ({ room_id, content }) => (await client.sendEvent(room_id, "m.room.message", content)).event_id,
  create: async ({ name, invite }) => {
    const encryption = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
    const made = await client.createRoom({ name, invite, preset: "private_chat", initial_state: [encryption] });
    return made.room_id;
  },
  stop: async () => client.stopClient(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, request, ...parameters } = JSON.parse(line);
  try {
    write({ id, result: (await requests[request](parameters)) ?? null });
  } catch (error) {
    write({ id, error: String(error?.stack ?? error) });
  }
}
process.exit(0);
