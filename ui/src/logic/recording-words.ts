import type { Recording } from '../nouns/recordings.ts'

const why: Record<string, string> = {
  too_long: 'It reached its largest size.',
  recordings_full: 'There was no more room for recordings. Delete old ones to record again.',
  disk_full: 'The disk of the box was full. Free some space to record again.',
  disk_slow: 'The disk of the box was too slow for so much output.',
  disk_failed: 'The disk of the box failed, or the file was lost.',
  box_crashed: 'The box died meanwhile. What it had written can be played.',
}

/** Why it ended, when that was not what somebody wanted. */
export const endWords = (recording: Recording): string => why[recording.end_reason ?? ''] ?? ''

export function stateWords(recording: Recording): string {
  if (recording.state === 'recording') return 'Recording now'
  if (recording.state === 'cut') return 'Cut short'
  if (recording.state === 'broken') return recording.size_bytes ? 'Stopped early' : 'Not recorded'
  return ''
}

export const canPlay = (recording: Recording): boolean => recording.state === 'recording' || (recording.size_bytes ?? 0) > 0
