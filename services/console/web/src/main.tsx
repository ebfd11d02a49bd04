import { render } from 'preact';
import { App } from './app.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/shell.css';
import './styles/sign-in.css';
import './styles/lists.css';
import './styles/review.css';
import './styles/cases.css';
import './styles/library.css';
import './styles/live.css';

const root = document.getElementById('app');
if (!root) throw new Error('index.html has no #app');
render(<App />, root);
