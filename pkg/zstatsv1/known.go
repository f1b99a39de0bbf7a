package zstatsv1

// known names one of this package's structs, whose fields are looked for in the types of a stream.
type known uint8

const (
	knownRequest known = iota
	knownInstance
	knownSample
	knownLabel
	knownResponse
)

// field tells the slot and shape of the struct's field by its name, slotUnknown for a field that the struct doesn't have.
func (k known) field(name string) (slot, shape) {
	switch k {
	case knownRequest:
		return fieldOfRequest(name)
	case knownInstance:
		return fieldOfInstance(name)
	case knownSample:
		return fieldOfSample(name)
	case knownLabel:
		return fieldOfLabel(name)
	default:
		return fieldOfResponse(name)
	}
}

// Slots of the fields of a Request.
const (
	slotVersion slot = iota + 1
	slotToken
	slotNInsts
	slotIData
)

func fieldOfRequest(name string) (slot, shape) {
	switch name {
	case "Version":
		return slotVersion, shapeInt
	case "Token":
		return slotToken, shapeString
	case "NInsts":
		return slotNInsts, shapeInt
	case "IData":
		return slotIData, shapeStructs
	}
	return slotUnknown, 0
}

// Slots of the fields of an Instance.
const (
	slotInstance slot = iota + 1
	slotNSamples
	slotIsIncr
	slotGen
	slotGTs
	slotSamples
	slotOLabels
)

func fieldOfInstance(name string) (slot, shape) {
	switch name {
	case "Instance":
		return slotInstance, shapeString
	case "NSamples":
		return slotNSamples, shapeInt
	case "IsIncr":
		return slotIsIncr, shapeBool
	case "Gen":
		return slotGen, shapeInt
	case "GTs":
		return slotGTs, shapeInt
	case "Samples":
		return slotSamples, shapeStructs
	case "OLabels":
		return slotOLabels, shapeStrings
	}
	return slotUnknown, 0
}

// Slots of the fields of a Sample.
const (
	slotIdx slot = iota + 1
	slotLs
	slotHelp
	slotType
	slotTs
	slotVal
)

func fieldOfSample(name string) (slot, shape) {
	switch name {
	case "Idx":
		return slotIdx, shapeInt
	case "Ls":
		return slotLs, shapeStructs
	case "Help":
		return slotHelp, shapeString
	case "Type":
		return slotType, shapeString
	case "Ts":
		return slotTs, shapeInt
	case "Val":
		return slotVal, shapeFloat
	}
	return slotUnknown, 0
}

// Slots of the fields of a Label.
const (
	slotName slot = iota + 1
	slotValue
)

func fieldOfLabel(name string) (slot, shape) {
	switch name {
	case "Name":
		return slotName, shapeString
	case "Value":
		return slotValue, shapeString
	}
	return slotUnknown, 0
}

// Slots of the fields of a Response.
const (
	slotReplyVersion slot = iota + 1
	slotMinPollSecs
	slotErr
	slotReplyNInsts
	slotIErrCodes
)

func fieldOfResponse(name string) (slot, shape) {
	switch name {
	case "Version":
		return slotReplyVersion, shapeInt
	case "MinPollSecs":
		return slotMinPollSecs, shapeInt
	case "Err":
		return slotErr, shapeString
	case "NInsts":
		return slotReplyNInsts, shapeInt
	case "IErrCodes":
		return slotIErrCodes, shapeInts
	}
	return slotUnknown, 0
}
