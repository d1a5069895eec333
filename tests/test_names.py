"""The page that leads from the names of the references to ours: whole, and true."""

from __future__ import annotations

import re
from pathlib import Path

from wfsim.errors import ANSWERS

PAGE = (Path(__file__).parents[1] / "docs/names.md").read_text(encoding="utf-8")
(SETTING,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROW = re.compile(r"^\| (`.+?`) \| (.+?) \| `(.+?)` \| (.*?)\|$", re.M)
ROWS = ROW.findall(PAGE)

# What each package of the references exports; of TiUniManager, what is about flows.
EXPORTED = """
define: WFConfKey WorkFlowResourceName WorkFlowResourceNameSpace WFInterruptReason
    WFInterruptMessage WFInterruptPrevious WFInterruptToRecover DefaultWfConf
    InterruptError Reason ErrorMsg NewInterruptError IsInterruptError WaitingError
    NewWaitingError IsWaitingError
statemachine: State StateRunning StateCreating StateInit StateInterrupt StateRebuild
    StateNil StateResource GetName GetNamespace Fetch GetState UpdateState IsCancelled
    StateMainEnter MainEnter AnonymousStateMainEnter StateMachine ResourceType Logger
    RegisterIgnoreEvents RegisterLogger DoStateMainEnter RegisterStateTranslate
    RegisterStateTranslateMainEnter RegisterStateMainEnter RegisterStableState
    CheckSetStateTranslate CreateStateMachineInstance StableStateMainEnter EventName
    Event Params CreateEvent EventChecker KubeObjectLock ObjectLockIns GetLock
wfengine: WfManager FlowMetaMap TypeRegistry FlowMeta StepGroupMeta StepMeta FlowName
    RecoverFromFirstStep Steps GroupName ClassName StepName CreateMetaLoaderFunc
    CreateHookFunc CreateMementoStorageFunc CreateWfManager RegisterSteps RegisterStep
    CreateResourceWorkflow RegisterRecover RegisterConf GetConfItem CheckRecovery
    ResourceWorkflow Run GetLastUnCompletedRuntime RunLastUnCompletedRuntime
    RetryInterruptedStep RunUnCompletedRuntime CommonWorkFlowMainEnter WfMetaLoader
    GetAllFlowMeta Recover GetResourceRecoverInfo CancelResourceRecover
    SaveResourceInterruptInfo WfRuntime FlowStatusType FlowStatus FlowStatusPrepared
    FlowStatusRunning FlowStatusFailed FlowStatusWaiting FlowStatusFailedCompleted
    FlowStatusCompleted FlowMaxAutoRetryTimes RetryTimes IgnoreError StartTime
    CompleteTime ErrorMessage InitContext RunningSteps FlowHookIns Start
    NewStepActionIns CreateWfRuntime LoadUnCompletedWfRuntime WfHook OnWfInit
    OnWfCompleted OnWfInterrupt OnStepInit OnStepWaiting OnStepCompleted StepAction Init
    DoStep Output StepRuntime StepStatusType StepStatus StepStatusPrepared
    StepStatusInited StepStatusFailed StepStatusCompleted StepStatusWaiting StepStartTime
    LastStepCompleteTime ContextOutput WfRuntimeMementoStorage Save LoadMementoMap
    WfRuntimeMemento WfRuntimeMementoCareTaker MementoMap MementoStorage
    FlowApplyResource CreateWfRuntimeMementoCareTaker LoadMemento CreateMemento
    SaveMemento GetAllUnCompletedWorkflowRuntime GetLastWorkflowRuntime
implement: IKubeResource KubeResource GetResource GetScheme Update NotImplementError
    DefaultWfMetaLoader CreateDefaultWfMetaLoader DefaultMementoStorage
    GetDefaultMementoStorageFactory WorkFlowJobConfigMapTag DefaultRecover
    CreateDefaultRecover DefaultWorkflowHook CreateDefaultWorkflowHook
    DefaultHistoryRecorder CreateDefaultHistoryRecorder WriteWorkflowStepLog
    WorkflowStep StepType WorkFlowStart WorkFlowInterrupt WorkFlowCompleted StepInited
    StepWaiting StepError StepCompleted
utils: MapMerge MaxIntSlice ContainsString
files: flowName recoverFromFirstStep steps groupName className stepName flowStatus
    retryTimes ignoreError startTime completeTime errorMessage initContext runningSteps
    stepStatus stepStartTime lastStepCompleteTime contextOutput _resourceName
    _resourceNameSpace _flowSaveResourceNameKey _flowSaveResourceNameSpaceKey
    _flowSaveNumberKey interrupt.reason interrupt.message interrupt.previous.status
    interrupt.recover flowJobsDomain MANY_RETRY CANCELLED UNKNOWN_TASK
workflow2: WorkFlowService WorkFlowManager GetWorkFlowService NewWorkFlowManager
    MockWorkFlowService RegisterWorkFlow GetWorkFlowDefine CreateWorkFlow ListWorkFlows
    DetailWorkFlow Stop Cancel WorkFlowDefine TaskNodes ContextParser NodeExecutor
    NodeDefine Name SuccessEvent FailEvent ReturnType Executor CompositeExecutor
    NodeReturnType SyncFuncNode PollingNode BizTypeCluster BizTypeHost BizTypePlatform
    WorkFlowMeta Flow Define CurrentNode CurrentNodeDefine Nodes Context NewWorkFlowMeta
    Restore Fail Execute FlowContext FlowData NewFlowContext GetData SetData
    InitFlowContext GetContextString
models: WorkFlow BizID BizType Finished Stopped WorkFlowNode ParentID OperationID
    Parameters Result EndTime Processing Record RecordAndPersist Success ReaderWriter
    UpdateWorkFlow GetWorkFlow QueryWorkFlows CreateWorkFlowNode UpdateWorkFlowNode
    GetWorkFlowNode UpdateWorkFlowDetail QueryDetailWorkFlow ID TenantId Status CreatedAt
    UpdatedAt DeletedAt
constants: WorkFlowStatusInitializing WorkFlowStatusProcessing WorkFlowStatusFinished
    WorkFlowStatusError WorkFlowStatusCanceling WorkFlowStatusCanceled
    WorkFlowStatusStopped WorkFlowInfo WorkFlowNodeInfo QueryWorkFlowsReq
    QueryWorkFlowsResp QueryWorkFlowDetailReq QueryWorkFlowDetailResp Page
    Em-X-Trace-Id Em-X-User-Id Em-X-Tenant-Id HandleMetrics
readme: UnStableStateMainEnter GetNotCompleteFlow AsyncStart AddContext Destroy Complete
operator: forceRebuild restartCluster restartIns flushParams switchRw migrate removeIns
    extendStorage followerNum classInfoModifyTo versionCfgModifyTo tempRoIds
    flushParamsRestartCluster
rest: workFlows workFlowId id name bizId bizType status createTime updateTime deleteTime
    info nodes nodeNames parameters result endTime page pageSize total code message data
"""


def test_every_name_that_the_references_export_has_a_row():
    named = {name for row in ROWS for name in re.findall(r"`(.+?)`", row[0])}
    wanted = {word for word in EXPORTED.split() if not word.endswith(":")}
    wanted |= {answer.name for answer in ANSWERS.values()}
    assert sorted(wanted - named) == []


def test_every_row_of_the_page_is_read_here():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROWS) > 100


def test_every_code_is_told_with_the_name_and_the_text_that_it_has():
    told = {row[0].strip("`"): row[1] for row in ROWS}
    assert {code for code in ANSWERS if told[ANSWERS[code].name] != str(code)} == set()


def test_the_lines_of_the_page_run_in_its_order():
    names = {}
    exec(compile(SETTING, "docs/names.md", "exec"), names)
    for row in ROWS:
        # A line that fails stands in the traceback, as the name of the file.
        exec(compile(row[2], row[2], "exec"), names)
