import { mount } from 'svelte'
import './style/tokens.css'
import './style/base.css'
import './style/forms.css'
import App from './App.svelte'
import { followViewport } from './state/viewport.ts'

followViewport()
mount(App, { target: document.getElementById('app')! })
