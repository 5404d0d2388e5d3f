import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

const compressible = /\.(js|css|html|svg|json|webmanifest|txt)$/

/** Writes `.br` and `.gz` beside each text file, so that the box never compresses at run time. */
export function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    enforce: 'post',
    writeBundle({ dir }) {
      for (const name of readdirSync(dir!, { recursive: true, encoding: 'utf8' })) {
        if (compressible.test(name)) compress(join(dir!, name))
      }
    },
  }
}

function compress(path: string): void {
  const plain = readFileSync(path)
  const br = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
  const gz = gzipSync(plain, { level: 9 })
  if (br.length < plain.length) writeFileSync(`${path}.br`, br)
  if (gz.length < plain.length) writeFileSync(`${path}.gz`, gz)
}
