/** Media keys of each member for livekit-client's encryption worker, with the parameters of Element Call. */
import { BaseKeyProvider, createKeyMaterialFromBuffer } from 'livekit-client'

export class MediaKeys extends BaseKeyProvider {
  private ownIndex = 0
  private order: Promise<void> = Promise.resolve()

  constructor(private readonly ownIdentity: string) {
    super({ ratchetWindowSize: 10, keyringSize: 256 })
  }

  /** Raw bytes as they were sent; the worker derives AES keys from them with HKDF. In order, as keys replace others. */
  add(identity: string, index: number, key: Uint8Array<ArrayBuffer>): Promise<void> {
    this.order = this.order.then(async () => {
      const material = await createKeyMaterialFromBuffer(key.slice().buffer)
      if (identity === this.ownIdentity) this.ownIndex = index
      this.onSetEncryptionKey(material, identity, index)
    })
    return this.order
  }

  /**
   * livekit-client asks when a connection comes back, and then encrypts with our key of that index. It would take the
   * index that anybody's key was last set at, and so might go back to a key of ours that people who left still have.
   */
  override getLatestManuallySetKeyIndex(): number {
    return this.ownIndex
  }
}
