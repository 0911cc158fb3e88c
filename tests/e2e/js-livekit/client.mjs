// LiveKit's server SDK in a process of its own: one JSON line per question on stdin, one per answer on stdout.
import { createInterface } from "node:readline";
import {
  AgentDispatchClient,
  EgressClient,
  EncodedFileOutput,
  RoomServiceClient,
  TwirpError,
  WebhookReceiver,
} from "livekit-server-sdk";

const [url, key, secret] = process.argv.slice(2);
const clients = {
  room: new RoomServiceClient(url, key, secret),
  egress: new EgressClient(url, key, secret),
  dispatch: new AgentDispatchClient(url, key, secret),
  webhook: new WebhookReceiver(key, secret),
};

// What JSON can't say: messages with classes of their own, and bytes.
function revive(value) {
  if (value?.$bytes !== undefined) return new TextEncoder().encode(value.$bytes);
  if (value?.$file !== undefined) return new EncodedFileOutput(value.$file);
  return value;
}

const plain = (name, value) => (typeof value === "bigint" ? Number(value) : value);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, client, method, args } = JSON.parse(line);
  let answer;
  try {
    const result = await clients[client][method](...args.map(revive));
    answer = { id, result: result ?? null };
  } catch (error) {
    const code = error instanceof TwirpError || error.code ? error.code : error.constructor.name;
    answer = { id, error: { code, message: error.message } };
  }
  process.stdout.write(`${JSON.stringify(answer, plain)}\n`);
}
