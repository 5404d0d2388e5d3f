import type { Problem } from '../api.ts'
import { asSaved, newlines } from '../logic/files.ts'
import { openText, saveText, type TextFile } from '../nouns/files.ts'
import { Act } from './act.svelte.ts'

// What was typed and not saved, by session and path: going back to the folder loses nothing.
const drafts = new Map<string, { text: string; file: TextFile }>()

/** A text in the editor: what was read, what a person made of it, and somebody else's version when both changed. */
export class TextEdit {
  readonly opening = new Act()
  readonly saving = new Act()
  file = $state.raw<TextFile | null>(null)
  text = $state('')
  theirs = $state.raw<TextFile | null>(null)
  needsInPlace = $state.raw<Problem | null>(null)
  kept = $state(false)
  private before = $state('')
  private readonly session: string
  private readonly path: string

  constructor(session: string, path: string) {
    this.session = session
    this.path = path
  }

  get dirty(): boolean {
    return this.file !== null && this.text !== this.before
  }

  get kind(): 'lf' | 'crlf' | 'mixed' {
    return newlines(this.file?.text ?? '')
  }

  open = async (): Promise<void> => {
    const draft = drafts.get(this.key)
    if (draft) {
      this.show(draft.file)
      this.text = draft.text
      this.kept = true
      return
    }
    const file = await this.opening.run(() => openText(this.session, this.path))
    if (file) this.show(file)
  }

  keepDraft(): void {
    if (this.dirty && this.file) drafts.set(this.key, { text: this.text, file: this.file })
    else drafts.delete(this.key)
  }

  /** Saves what was typed over `version`; true when it is on the server. */
  async save(inPlace = false, version = this.file?.version ?? ''): Promise<boolean> {
    const typed = this.text
    const text = asSaved(typed, this.kind)
    this.needsInPlace = null
    const saved = await this.saving.run(() => saveText(this.session, this.path, text, version, inPlace))
    if (saved) {
      this.file = { ...saved, text }
      this.before = typed
      this.theirs = null
      this.kept = false
      drafts.delete(this.key)
      return true
    }
    await this.refused(this.saving.problem)
    return false
  }

  /** Somebody else's version instead of one's own. */
  takeTheirs(): void {
    if (this.theirs) this.show(this.theirs)
  }

  private async refused(problem: Problem | null): Promise<void> {
    if (problem?.code === 'file_in_place_only') this.needsInPlace = problem
    if (problem?.code !== 'file_changed') return
    const theirs = await this.opening.run(() => openText(this.session, this.path))
    if (theirs) this.theirs = theirs
  }

  private show(file: TextFile): void {
    this.file = file
    this.text = this.before = file.text.replaceAll('\r\n', '\n').replaceAll('\r', '\n')
    this.theirs = null
    this.kept = false
    this.saving.problem = null
  }

  private get key(): string {
    return `${this.session} ${this.path}`
  }
}
