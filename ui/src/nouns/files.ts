import { get, linkTo, post, remove, sendBytes } from '../api.ts'

export type FileKind = 'file' | 'folder' | 'link' | 'special' | 'unknown'
export type Existing = 'ask' | 'replace' | 'keep_both'
export interface FileEntry {
  /** What the box takes; `name` is for the eye. */
  path: string
  name: string
  kind: FileKind
  size: number | null
  mode: string | null
  uid: number | null
  gid: number | null
  modified_at: string | null
  target: string | null
  target_kind: FileKind | null
  unfinished: boolean
}
export interface Listing {
  path: string
  name: string
  parent: string | null
  entries: FileEntry[]
  total: number
  hidden: number
  skipped: number
  cut: boolean
  listing: string
  offset: number
}
export interface TextFile {
  path: string
  name: string
  text: string
  version: string
  mode: string | null
}
export interface Upload {
  id: string
  path: string
  name: string
  size: number
  offset: number
  max_piece: number
}
export interface Removal {
  id: string
  path: string
  name: string
  kind: FileKind
  state: 'counting' | 'counted' | 'removing' | 'done' | 'failed' | 'cancelled'
  folders: number
  files: number
  size: number
  removed: number
  left: { path: string; name: string; why: string }[]
  left_count: number
  problem: string | null
}
type One = { entry: FileEntry }

const at = (session: string) => `/sessions/${session}/files`
const query = (values: Record<string, string>) => new URLSearchParams(values).toString()

export const listFiles = (session: string, wanted: Record<string, string>) => get<Listing>(`${at(session)}?${query(wanted)}`)
export const makeFolder = async (session: string, path: string) => (await post<One>(`${at(session)}/folders`, { path })).entry
export const moveFile = async (session: string, path: string, to: string, replace = false) =>
  (await post<One>(`${at(session)}/move`, { path, to, replace })).entry
export const setMode = async (session: string, path: string, mode: string) =>
  (await post<One>(`${at(session)}/permissions`, { path, mode })).entry
/** For a plain link: the browser saves it, and resumes it by itself. */
export const downloadLink = (session: string, path: string) => linkTo(`${at(session)}/content?${query({ path })}`)

export const openText = async (session: string, path: string) =>
  (await get<{ file: TextFile }>(`${at(session)}/text?${query({ path })}`)).file
export const saveText = async (session: string, path: string, text: string, version: string, inPlace = false) =>
  (await post<{ file: TextFile }>(`${at(session)}/text`, { path, text, version, in_place: inPlace })).file

export const beginUpload = async (session: string, path: string, size: number, fingerprint: string, existing: Existing) =>
  (await post<{ upload: Upload }>(`${at(session)}/uploads`, { path, size, fingerprint, existing })).upload
export const listUploads = async (session: string) => (await get<{ uploads: Upload[] }>(`${at(session)}/uploads`)).uploads
export const sendPiece = async (session: string, upload: string, offset: number, bytes: Blob, signal: AbortSignal) =>
  (await sendBytes<{ upload: Upload }>(`${at(session)}/uploads/${upload}?offset=${offset}`, bytes, signal)).upload
export const finishUpload = async (session: string, upload: string, existing: Existing) =>
  (await post<One>(`${at(session)}/uploads/${upload}/finish`, { existing })).entry
export const cancelUpload = (session: string, upload: string) => remove(`${at(session)}/uploads/${upload}`)

export const beginRemoval = async (session: string, path: string) =>
  (await post<{ removal: Removal }>(`${at(session)}/removals`, { path })).removal
export const readRemoval = async (session: string, id: string) =>
  (await get<{ removal: Removal }>(`${at(session)}/removals/${id}`)).removal
export const confirmRemoval = async (session: string, id: string) =>
  (await post<{ removal: Removal }>(`${at(session)}/removals/${id}/confirm`)).removal
export const cancelRemoval = async (session: string, id: string) =>
  (await remove<{ removal: Removal }>(`${at(session)}/removals/${id}`)).removal
