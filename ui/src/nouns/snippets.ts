import { get, patch, post, remove } from '../api.ts'

export type Kind = 'text' | 'name' | 'path' | 'number' | 'choice'
export interface Variable {
  name: string
  kind: Kind
  description: string
  default: string | null
  choices: string[]
}
export interface Snippet {
  id: string
  label: string
  description: string
  command: string
  variables: Variable[]
  created_at: string
  updated_at: string
}
export interface Preview {
  command: string | null
  used: string[]
  errors: { field: string; message: string }[]
}
export type SnippetInput = Pick<Snippet, 'label' | 'description' | 'command' | 'variables'>
export type Values = Record<string, string>
type One = { snippet: Snippet }

export const listSnippets = async () => (await get<{ snippets: Snippet[] }>('/snippets')).snippets
export const addSnippet = async (input: SnippetInput) => (await post<One>('/snippets', input)).snippet
export const editSnippet = async (id: string, input: SnippetInput) => (await patch<One>(`/snippets/${id}`, input)).snippet
export const removeSnippet = (id: string) => remove<One>(`/snippets/${id}`)
export const previewSnippet = (command: string, variables: Variable[], values: Values) =>
  post<Preview>('/snippets/preview', { command, variables, values })
