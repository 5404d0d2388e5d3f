const key = 'clawdbox.keep-alive'

/** Whether this device wants new terminals to go on on the server: its last choice. */
export function keepAlive(): boolean {
  try {
    return localStorage.getItem(key) === 'yes'
  } catch {
    return false
  }
}

export function chooseKeepAlive(on: boolean): void {
  try {
    localStorage.setItem(key, on ? 'yes' : 'no')
  } catch {
    // Storage is blocked: the choice holds for this terminal only.
  }
}
