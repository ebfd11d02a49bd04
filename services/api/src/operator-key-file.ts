/** Where an instance keeps a key for whoever runs it: only those who may read its data folder can. */
export const OPERATOR_KEY_FILE = 'operator.key';
