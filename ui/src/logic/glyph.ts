const side = 5

/** A small mirrored picture of a host key, so that a changed key is seen before it is read. 25 cells, row by row. */
export function glyph(fingerprint: string): boolean[] {
  const half = Math.ceil(side / 2)
  let hash = 0x811c9dc5
  for (const c of fingerprint) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193)
  const cells = Array<boolean>(side * side).fill(false)
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < half; column++) {
      hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
      const on = ((hash >>> 7) & 1) === 1
      cells[row * side + column] = on
      cells[row * side + (side - 1 - column)] = on
    }
  }
  return cells
}

/** One of `count` hues, the same for the same key. */
export function hue(fingerprint: string, count: number): number {
  let sum = 0
  for (const c of fingerprint) sum = (sum * 31 + c.charCodeAt(0)) >>> 0
  return sum % count
}
