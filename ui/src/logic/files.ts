import type { FileEntry } from '../nouns/files.ts'
import { lasted } from './time.ts'

/** "812 B", "4.2 kB", "1.1 MB", "5.4 GB": as disks are sold, so that a person can compare. */
export function bytes(count: number): string {
  const units = ['kB', 'MB', 'GB', 'TB']
  if (count < 1000) return `${count} B`
  let value = count / 1000
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

/** A name a person typed, as a part of a path: `%` is the box's escape. */
export const asPart = (name: string): string => name.replaceAll('%', '%25')

export const joinPath = (folder: string, name: string): string => `${folder.replace(/\/+$/, '')}/${asPart(name)}`
export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'

/** What a person may call a file or folder; a sentence when not. */
export function nameTrouble(name: string): string {
  if (!name.trim()) return 'Give it a name.'
  if (name === '.' || name === '..' || name.includes('/')) return 'A name has no slash in it, and is not “.” or “..”.'
  return name.length > 255 ? 'This name is too long.' : ''
}

/** The way to a folder: each step with its path, the root first. */
export function crumbs(path: string): { name: string; path: string }[] {
  const parts = path.split('/').filter(Boolean)
  const steps = parts.map((part, i) => ({ name: part.replaceAll('%25', '%'), path: `/${parts.slice(0, i + 1).join('/')}` }))
  return [{ name: '/', path: '/' }, ...steps]
}

/** "rwxr-xr-x" of "0755". */
export function modeWords(mode: string): string {
  const bits = Number.parseInt(mode, 8)
  return [...'rwxrwxrwx'].map((letter, i) => ((bits >> (8 - i)) & 1 ? letter : '-')).join('')
}

export const kindWords = (entry: FileEntry): string =>
  ({ file: 'File', folder: 'Folder', link: 'Link', special: 'Device, pipe or socket', unknown: 'Unknown' })[entry.kind]

export const leadsToFolder = (entry: FileEntry): boolean => entry.kind === 'folder' || entry.target_kind === 'folder'
export const isFile = (entry: FileEntry): boolean => entry.kind === 'file' || entry.target_kind === 'file'

/** The newlines of a text: a browser's text field knows one kind only, so the other is put back when it is saved. */
export function newlines(text: string): 'lf' | 'crlf' | 'mixed' {
  const crlf = text.split('\r\n').length - 1
  const all = text.split(/\r\n|\r|\n/).length - 1
  if (crlf === 0) return text.includes('\r') ? 'mixed' : 'lf'
  return crlf === all ? 'crlf' : 'mixed'
}

export const asSaved = (text: string, kind: 'lf' | 'crlf' | 'mixed'): string => (kind === 'crlf' ? text.replaceAll('\n', '\r\n') : text)

/** How fast bytes went of late: [milliseconds, bytes so far] in, bytes a second out. */
export function rate(samples: [number, number][]): number {
  const first = samples[0]
  const last = samples.at(-1)
  if (!first || !last || last[0] - first[0] < 300) return 0
  return ((last[1] - first[1]) * 1000) / (last[0] - first[0])
}

/** "3.2 MB of 10.0 MB · 1.2 MB/s · 6 s left". */
export function progressWords(sent: number, size: number, perSecond: number): string {
  const parts = [`${bytes(sent)} of ${bytes(size)}`]
  if (perSecond > 0) parts.push(`${bytes(Math.round(perSecond))}/s`, `${lasted(Math.max(1000, ((size - sent) / perSecond) * 1000))} left`)
  return parts.join(' · ')
}

/** The next piece: larger while the line is quick, smaller when it is slow, so that a cut costs little. */
export function nextPiece(piece: number, tookMs: number, most: number): number {
  if (tookMs < 1500) return Math.min(most, piece * 2)
  return tookMs > 6000 ? Math.max(64 * 1024, Math.floor(piece / 2)) : piece
}
