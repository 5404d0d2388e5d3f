export type Inline = { kind: 'plain' | 'code' | 'strong'; text: string }
export type Block = { kind: 'paragraph'; lines: Inline[][] } | { kind: 'list'; items: Inline[][] } | { kind: 'code'; text: string }

/** The little markdown a conversation needs: paragraphs, lists, code, bold. Everything else stays text. */
export function prose(text: string): Block[] {
  const blocks: Block[] = []
  const parts = text.split(/```[^\n]*\n?/)
  parts.forEach((part, i) => {
    if (i % 2) blocks.push({ kind: 'code', text: part.replace(/\n$/, '') })
    else for (const chunk of part.split(/\n\s*\n/)) if (chunk.trim()) blocks.push(...chunkBlocks(chunk.trim()))
  })
  return blocks
}

function chunkBlocks(chunk: string): Block[] {
  const lines = chunk.split('\n')
  const firstItem = lines.findIndex((line) => /^\s*[-*] /.test(line))
  if (firstItem < 0) return [{ kind: 'paragraph', lines: lines.map(inline) }]
  const blocks: Block[] = []
  if (firstItem > 0) blocks.push({ kind: 'paragraph', lines: lines.slice(0, firstItem).map(inline) })
  blocks.push({ kind: 'list', items: lines.slice(firstItem).map((line) => inline(line.replace(/^\s*[-*] /, ''))) })
  return blocks
}

export function inline(line: string): Inline[] {
  const found: Inline[] = []
  for (const piece of line.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
    if (piece.startsWith('`') && piece.length > 2) found.push({ kind: 'code', text: piece.slice(1, -1) })
    else if (piece.startsWith('**') && piece.length > 4) found.push({ kind: 'strong', text: piece.slice(2, -2) })
    else if (piece) found.push({ kind: 'plain', text: piece })
  }
  return found
}
