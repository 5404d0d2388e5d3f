import { uuid } from './logic/ids.ts'

const base = '/api/v1'
const patience = 40_000

/** What went wrong, in a sentence for a person. `status` 0: no answer came. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly data: Record<string, unknown>

  constructor(status: number, code: string, detail: string, data: Record<string, unknown> = {}) {
    super(detail)
    this.status = status
    this.code = code
    this.data = data
  }

  /** The sentence for one field of a form, when the box named it. */
  field(name: string): string {
    const errors = (this.data.errors ?? []) as { field: string; message: string }[]
    return errors.find((e) => e.field === name)?.message ?? (this.data.field === name ? this.message : '')
  }
}

const login = { csrf: '', ended: () => {}, stepUp: async (_: Problem): Promise<boolean> => false }

export function useLogin(csrf: string): void {
  login.csrf = csrf
}

export function onLoginEnded(then: () => void): void {
  login.ended = then
}

/** `then` asks the person to prove to be there; true when they did, and the request is sent again. */
export function onStepUp(then: (problem: Problem) => Promise<boolean>): void {
  login.stepUp = then
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path)
export const patch = <T>(path: string, body: unknown): Promise<T> => call<T>('PATCH', path, body)
export const remove = <T>(path: string): Promise<T> => call<T>('DELETE', path)

/** A POST whose answer was lost is asked once more with the same key, so that nothing happens twice. */
export const post = <T>(path: string, body: unknown = {}): Promise<T> => repeat<T>(path, body, uuid())

/** The same, under a key that the caller keeps: a person who tries again later does not do it twice either. */
export async function repeat<T>(path: string, body: unknown, key: string): Promise<T> {
  try {
    return await call<T>('POST', path, body, key)
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'unreachable')) throw error
    await new Promise((resolve) => setTimeout(resolve, 600))
    return call<T>('POST', path, body, key)
  }
}

/** Bytes in a PATCH. `signal` ends it early; how long it may take is the caller's business. */
export const sendBytes = <T>(path: string, bytes: Blob, signal: AbortSignal): Promise<T> =>
  ask<T>('PATCH', path, bytes, undefined, signal)

/** Where a plain link reads from, such as a download. */
export const linkTo = (path: string): string => base + path

async function call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
  try {
    return await ask<T>(method, path, body, key)
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'step_up_required' && (await login.stepUp(error)))) throw error
    return ask<T>(method, path, body, key)
  }
}

async function ask<T>(method: string, path: string, body?: unknown, key?: string, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' }
  const raw = body instanceof Blob
  if (body !== undefined) headers['content-type'] = raw ? 'application/octet-stream' : 'application/json'
  if (method !== 'GET' && login.csrf) headers['x-csrf-token'] = login.csrf
  if (key) headers['idempotency-key'] = key
  const request = { method, headers, body: raw || body === undefined ? (body as Blob | undefined) : JSON.stringify(body) }
  let response: Response
  try {
    response = await fetch(base + path, { ...request, signal: signal ?? AbortSignal.timeout(patience) })
  } catch (error) {
    throw silence(error)
  }
  const data = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (response.ok) return data as T
  throw refusal(response, data)
}

function refusal(response: Response, data: Record<string, unknown>): Problem {
  const problem = read(response, data)
  if (problem.code === 'login_required') login.ended()
  return problem
}

/** A long text, piece by piece as it arrives, for as long as somebody waits for it. */
export async function pull(path: string, onpiece: (text: string) => void, signal: AbortSignal): Promise<void> {
  try {
    await stream(path, onpiece, signal)
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'step_up_required' && (await login.stepUp(error)))) throw error
    await stream(path, onpiece, signal)
  }
}

async function stream(path: string, onpiece: (text: string) => void, signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(base + path, { signal })
    if (!response.ok || !response.body) throw refusal(response, await response.json().catch(() => ({})))
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) onpiece(piece.value)
  } catch (error) {
    if (error instanceof Problem || signal.aborted) throw error
    throw silence(error)
  }
}

function silence(error: unknown): Problem {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new Problem(0, 'no_answer', 'The box took longer than 40 seconds and gave no answer. Look at the state below before trying again.')
  }
  return new Problem(0, 'unreachable', 'This device cannot reach the box. Check that the box runs and that you are on its network, then try again.')
}

function read(response: Response, data: Record<string, unknown>): Problem {
  const fallback = `The box answered with status ${response.status}. Try again; if it stays, look at the log of the box.`
  const wait = Number(data.retry_after ?? response.headers.get('retry-after') ?? 0)
  const detail = response.status === 429 && wait ? `Too many tries. Wait ${wait} seconds, then try again.` : undefined
  return new Problem(response.status, String(data.code ?? 'unexpected'), detail ?? String(data.detail ?? data.title ?? fallback), data)
}
