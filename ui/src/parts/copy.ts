/** The clipboard and the share sheet exist only on https or on the box itself. */
export const canCopy = (): boolean => typeof navigator.clipboard?.writeText === 'function'
export const canShare = (): boolean => typeof navigator.share === 'function'

export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}

export function select(element: HTMLElement): void {
  const range = document.createRange()
  range.selectNodeContents(element)
  const selection = getSelection()
  selection?.removeAllRanges()
  selection?.addRange(range)
}
