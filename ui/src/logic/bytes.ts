/** "812 B", "4.2 kB", "1.1 MB", "4.3 GB". */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
}

/** `8-byte big-endian number ‖ bytes`: the frame of a terminal, in both directions. */
export function frame(number: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(8 + bytes.length)
  new DataView(out.buffer).setBigUint64(0, BigInt(number))
  out.set(bytes, 8)
  return out
}

export function unframe(data: ArrayBuffer): { number: number; bytes: Uint8Array<ArrayBuffer> } {
  return { number: Number(new DataView(data).getBigUint64(0)), bytes: new Uint8Array(data, 8) }
}
