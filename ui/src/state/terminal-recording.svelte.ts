import { listRecordings, startRecording, stopRecording, type Recording } from '../nouns/recordings.ts'
import type { Terminal } from '../nouns/sessions.ts'
import { Act } from './act.svelte.ts'
import { Resource } from './resource.svelte.ts'
import { toast } from './toasts.svelte.ts'

/** Whether a terminal is being recorded, as every device that shows it knows. */
export class TerminalRecording {
  readonly acting = new Act()
  private readonly newest: Resource<Recording | null>
  private readonly terminal: Terminal
  /** The end of a recording that a person has read of. */
  private read = $state('')

  constructor(terminal: Terminal) {
    this.terminal = terminal
    this.newest = new Resource(async () => (await listRecordings({ terminal_id: terminal.id, limit: '1' })).recordings[0] ?? null)
  }

  get running(): Recording | null {
    return this.newest.data?.state === 'recording' ? this.newest.data : null
  }

  /** The newest recording, when it stopped although nobody wanted that. */
  get broken(): Recording | null {
    const last = this.newest.data
    return last && (last.state === 'broken' || last.end_reason === 'too_long') && last.id !== this.read ? last : null
  }

  follow = (): (() => void) => this.newest.follow('recording.', 'terminal.')

  start = async (): Promise<void> => {
    const begun = await this.acting.run(() => startRecording(this.terminal.session_id, this.terminal.id))
    if (begun) this.newest.set(begun)
    else if (this.acting.problem?.code === 'already_recording') await this.newest.load()
  }

  stop = async (): Promise<void> => {
    const running = this.running
    const stopped = running && (await this.acting.run(() => stopRecording(running.id)))
    if (!stopped) return
    this.newest.set(stopped)
    toast('Recorded. It is under Tools, Recordings.')
  }

  dismiss = (): void => {
    this.read = this.newest.data?.id ?? ''
    this.acting.problem = null
  }
}
