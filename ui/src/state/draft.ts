/** A line that another page wants in the composer of the session that is opened next. */
let waiting = ''

export function leaveDraft(line: string): void {
  waiting = line
}

export function takeDraft(): string {
  const line = waiting
  waiting = ''
  return line
}
