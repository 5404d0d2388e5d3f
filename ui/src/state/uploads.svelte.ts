import { Problem } from '../api.ts'
import { joinPath, nextPiece, rate } from '../logic/files.ts'
import { beginUpload, cancelUpload, finishUpload, listUploads, sendPiece, type Existing } from '../nouns/files.ts'
import { asProblem } from './resource.svelte.ts'

const firstPiece = 256 * 1024
const pieceTimeout = 120_000
const passing = ['unreachable', 'no_answer', 'session_reconnecting', 'request_timeout', 'file_timeout', 'rate_limited', 'storage_full']
const patience = 10 * 60_000

export type UploadState = 'waiting' | 'sending' | 'retrying' | 'asking' | 'done' | 'failed' | 'cancelled'

/** One file on its way. It survives a phone that slept and a link that was lost: the box tells where to go on. */
export class UploadJob {
  readonly file: File
  readonly folder: string
  readonly path: string
  state = $state<UploadState>('waiting')
  sent = $state(0)
  speed = $state(0)
  problem = $state.raw<Problem | null>(null)
  existing: Existing = 'ask'
  private id = ''
  private samples: [number, number][] = []
  private stop = new AbortController()
  private readonly session: string

  constructor(session: string, folder: string, file: File) {
    this.session = session
    this.folder = folder
    this.file = file
    this.path = joinPath(folder, file.name)
  }

  get over(): boolean {
    return ['done', 'cancelled'].includes(this.state)
  }

  async run(): Promise<void> {
    this.stop = new AbortController()
    this.problem = null
    let quietSince = Date.now()
    for (;;) {
      const before = this.sent
      try {
        await this.attempt()
        this.state = 'done'
        return
      } catch (error) {
        if (this.state === 'cancelled') return
        const problem = asProblem(error)
        if (this.sent > before) quietSince = Date.now()
        if (problem.code === 'upload_offset' || problem.code === 'upload_incomplete') {
          this.sent = Number(problem.data.offset ?? 0)
          continue
        }
        if (problem.code === 'not_found' && this.id) {
          this.id = ''
          continue
        }
        this.problem = problem
        if (problem.code === 'file_exists') this.state = 'asking'
        else if (passing.includes(problem.code) && Date.now() - quietSince < patience) {
          this.state = 'retrying'
          this.speed = 0
          await new Promise((resolve) => setTimeout(resolve, 2000))
          if (this.cancelled()) return
          continue
        } else this.state = 'failed'
        return
      }
    }
  }

  async cancel(): Promise<void> {
    this.state = 'cancelled'
    this.stop.abort()
    if (this.id) await cancelUpload(this.session, this.id).catch(() => {})
  }

  private cancelled = (): boolean => this.state === 'cancelled'

  private async attempt(): Promise<void> {
    await this.begin()
    this.state = 'sending'
    this.problem = null
    this.samples = [[performance.now(), this.sent]]
    let piece = firstPiece
    while (this.sent < this.file.size) {
      const from = performance.now()
      const part = this.file.slice(this.sent, this.sent + piece)
      const signal = AbortSignal.any([this.stop.signal, AbortSignal.timeout(pieceTimeout)])
      const answer = await sendPiece(this.session, this.id, this.sent, part, signal)
      this.sent = answer.offset
      piece = nextPiece(piece, performance.now() - from, answer.max_piece)
      this.samples = [...this.samples.slice(-11), [performance.now(), this.sent]]
      this.speed = rate(this.samples)
    }
    await finishUpload(this.session, this.id, this.existing)
  }

  /** The upload on the box: this one again if it is still known there, else a new one, which finds its part. */
  private async begin(): Promise<void> {
    const known = this.id ? (await listUploads(this.session)).find((each) => each.id === this.id) : undefined
    const upload = known ?? (await beginUpload(this.session, this.path, this.file.size, `${this.file.lastModified}`, this.existing))
    this.id = upload.id
    this.sent = upload.offset
  }
}

/** All of a session's uploads, one after the other. They go on while another page of the app is shown. */
export class UploadQueue {
  jobs = $state.raw<UploadJob[]>([])
  /** Called when a file has come to its place. */
  ondone: (job: UploadJob) => void = () => {}
  private busy = false
  private readonly session: string

  constructor(session: string) {
    this.session = session
  }

  add(folder: string, files: Iterable<File>): void {
    this.jobs = [...this.jobs, ...[...files].map((file) => new UploadJob(this.session, folder, file))]
    void this.pump()
  }

  decide(job: UploadJob, existing: Existing): void {
    job.existing = existing
    job.state = 'waiting'
    void this.pump()
  }

  again(job: UploadJob): void {
    job.state = 'waiting'
    void this.pump()
  }

  async cancel(job: UploadJob): Promise<void> {
    await job.cancel()
    this.jobs = this.jobs.filter((each) => each !== job)
  }

  clear(): void {
    this.jobs = this.jobs.filter((job) => !job.over)
  }

  get open(): number {
    return this.jobs.filter((job) => !job.over && job.state !== 'failed').length
  }

  private async pump(): Promise<void> {
    if (this.busy) return
    this.busy = true
    try {
      for (let job = this.next(); job; job = this.next()) {
        await job.run()
        if (job.state === 'done') this.ondone(job)
      }
    } finally {
      this.busy = false
    }
  }

  private next = (): UploadJob | undefined => this.jobs.find((job) => job.state === 'waiting')
}

const queues = new Map<string, UploadQueue>()

export function uploadsOf(session: string): UploadQueue {
  const queue = queues.get(session) ?? new UploadQueue(session)
  queues.set(session, queue)
  return queue
}

// Files that are on their way are lost to the browser when the page goes.
addEventListener('beforeunload', (event) => {
  if ([...queues.values()].some((queue) => queue.open)) event.preventDefault()
})
