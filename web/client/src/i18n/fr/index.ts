import call from './call.json'
import capture from './capture.json'
import chat from './chat.json'
import common from './common.json'
import prejoin from './prejoin.json'
import problem from './problem.json'

export default { call, capture, chat, common, prejoin, problem }
