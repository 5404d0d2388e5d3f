import type { Problem } from '../api.ts'
import { listFiles, type FileEntry, type Listing } from '../nouns/files.ts'
import { asProblem } from './resource.svelte.ts'

const pageSize = 200
export type Sort = 'name' | 'size' | 'modified'

/** A folder on the server as this page shows it: in pages, so that a long one neither freezes the box nor the phone. */
export class Folder {
  listing = $state.raw<Listing | null>(null)
  entries = $state.raw<FileEntry[]>([])
  problem = $state.raw<Problem | null>(null)
  loading = $state(false)
  sort = $state<Sort>('name')
  hidden = $state(false)
  wanted = $state('')
  private path = ''
  private run = 0
  private readonly session: string

  constructor(session: string) {
    this.session = session
  }

  /** Shows `path`, the home folder for an empty one. */
  open(path: string): Promise<void> {
    if (path !== this.path) {
      this.listing = null
      this.entries = []
      this.wanted = ''
    }
    this.path = path
    return this.load()
  }

  /** Reads the folder again. */
  load = (): Promise<void> => this.read('', 0)
  /** Another order or another filter of what was read. */
  again = (): Promise<void> => this.read(this.listing?.listing ?? '', 0)
  more = (): Promise<void> => this.read(this.listing?.listing ?? '', this.entries.length)

  private async read(listing: string, offset: number): Promise<void> {
    const run = ++this.run
    this.loading = true
    const path = this.path || (listing ? (this.listing?.path ?? '') : '')
    const wanted: Record<string, string> = {
      sort: this.sort, descending: String(this.sort !== 'name'), hidden: String(this.hidden), wanted: this.wanted,
      listing, offset: String(offset), limit: String(pageSize), ...(path ? { path } : {}),
    }
    try {
      const found = await listFiles(this.session, wanted)
      if (run !== this.run) return
      this.entries = offset ? [...this.entries, ...found.entries] : found.entries
      this.listing = found
      this.problem = null
    } catch (error) {
      if (run === this.run) this.problem = asProblem(error)
    } finally {
      if (run === this.run) this.loading = false
    }
  }
}
