import earlier from './earlier.json'
import keys from './keys.json'
import moderation from './moderation.json'
import record from './record.json'

export default { earlier, keys, moderation, record }
