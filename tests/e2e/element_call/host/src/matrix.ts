// Somebody's Matrix client: one device, cross-signed, with its keys in the browser's own database.
import * as sdk from 'matrix-js-sdk'

export interface Login {
  homeserver: string
  user: string
  password: string
  device: string
}

export async function signIn({ homeserver, user, password, device }: Login): Promise<sdk.MatrixClient> {
  const proof = await sdk.createClient({ baseUrl: homeserver }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    device_id: device,
  })
  const client = sdk.createClient({
    baseUrl: homeserver,
    userId: proof.user_id,
    accessToken: proof.access_token,
    deviceId: proof.device_id,
  })
  await client.initRustCrypto({ useIndexedDB: true })
  // Synapse asks for no password the first time (MSC3967).
  await client.getCrypto()!.bootstrapCrossSigning({ authUploadDeviceSigningKeys: async (upload) => void (await upload(null)) })
  await client.startClient({ initialSyncLimit: 50 })
  await prepared(client)
  return client
}

function prepared(client: sdk.MatrixClient): Promise<void> {
  return new Promise((resolve) => {
    const look = (state: sdk.SyncState | null): void => {
      if (state === sdk.SyncState.Prepared || state === sdk.SyncState.Syncing) {
        client.off(sdk.ClientEvent.Sync, look)
        resolve()
      }
    }
    client.on(sdk.ClientEvent.Sync, look)
    look(client.getSyncState())
  })
}

/** Join a room and wait until it is there with everybody who is wanted in it. */
export async function enter(client: sdk.MatrixClient, roomId: string, members: string[], via: string[]): Promise<sdk.Room> {
  await client.joinRoom(roomId, { viaServers: via })
  const complete = (): boolean => {
    const joined = client.getRoom(roomId)?.getJoinedMembers() ?? []
    return members.every((one) => joined.some((member) => member.userId === one))
  }
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (!complete()) return
      client.off(sdk.ClientEvent.Sync, look)
      resolve()
    }
    client.on(sdk.ClientEvent.Sync, look)
    look()
  })
  return client.getRoom(roomId)!
}
